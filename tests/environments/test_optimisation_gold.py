"""Known constructions get their values, and slightly broken ones are refused."""

from __future__ import annotations

import copy
import itertools
import json
import math
from fractions import Fraction
from pathlib import Path

import pytest

from environments.artifact import BadArtifact
from environments.optimisation.judge import judge
from environments.optimisation.problems.hexagons import hexagons
from environments.optimisation.producer import produce
from environments.optimisation.tasks import TASKS

FOLDER = Path(__file__).parent / "gold"
# By the file's name, then the task and its score; 1.0 is the best of AlphaEvolve.
GOLD = {
    "cp_alphaevolve": ("cp", 2.6358627564 / 2.635),
    "cp_thetaevolve": ("cp", 2.6359830774 / 2.635),
    "mmd": ("mmd", 1.0),
    "ht": ("ht", 1.0),
    "rectangle": ("rectangle", 1.0),
    "convex13": ("convex13", 1.0),
    "convex14": ("convex14", 1.0),
    "kissing11": ("kissing11", 1.0),
    "autocorrelation1": ("autocorrelation1", 1.0),
    "autocorrelation2": ("autocorrelation2", 1.0),
    "autocorrelation3": ("autocorrelation3", 1.0),
    "hexagons11": ("hexagons11", 1.0),
    "hexagons12": ("hexagons12", 1.0),
}
ROWS = ("cp_alphaevolve", "cp_thetaevolve", "mmd", "ht", "rectangle", "convex13", "convex14")


def read(name):
    return json.loads((FOLDER / f"optimisation_{name}.json").read_text(encoding="utf-8"))


def gold(name):
    return read(name)["solution"]


def score(task, solution, kind="strict"):
    return judge(solution, {"task": task, "score": kind})


def refuse(task, solution, reason):
    for kind in ("strict", "tolerant"):
        with pytest.raises(BadArtifact, match=reason):
            score(task, solution, kind)


def rows_of(solution):
    return solution["hexagons"] if isinstance(solution, dict) else solution


@pytest.mark.parametrize("name", GOLD)
def test_a_known_construction_gets_its_value(name):
    task, value = GOLD[name]
    found = score(task, gold(name))
    assert found["fitness"] == pytest.approx(value, abs=1e-9)
    assert found["metrics"]["tolerant"] == pytest.approx(value, abs=1e-9)
    assert found["metrics"]["value"] == pytest.approx(read(name)["value"], abs=1e-9)
    # The points of ht lie on the triangle's sides, as near as floats come to it.
    assert found["metrics"]["exact"] == (name != "ht")


@pytest.mark.parametrize("name", GOLD)
def test_files_say_where_they_come_from(name):
    assert "Evolve (" in read(name)["source"]


def test_scores_above_one_are_not_capped():
    assert score("cp", gold("cp_thetaevolve"))["fitness"] > 1.0003


# What is broken


@pytest.mark.parametrize("name", [*ROWS, "hexagons11", "hexagons12", "kissing11"])
def test_one_too_few_and_one_too_many_are_refused(name):
    task, _ = GOLD[name]
    solution = gold(name)
    missing, more = copy.deepcopy(solution), copy.deepcopy(solution)
    rows_of(missing).pop()
    rows_of(more).append(rows_of(more)[0])
    if name == "kissing11":  # fewer vectors are a worse solution, a vector twice is none
        assert score(task, missing)["fitness"] == 592 / 593
        refuse(task, more, "vectors 0 and 593 are too near")
        return
    refuse(task, missing, "there must be")
    refuse(task, more, "there must be")


@pytest.mark.parametrize("name", [*ROWS, "hexagons11", "hexagons12"])
def test_the_same_twice_is_refused(name):
    task, _ = GOLD[name]
    solution = gold(name)
    rows = rows_of(solution)
    rows[-1] = list(rows[0])
    if task in ("ht", "convex13", "convex14"):  # the smallest triangle has no area
        assert score(task, solution)["fitness"] == 0.0
    else:
        refuse(task, solution, "overlap|the same|outside")


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, True, None, "0.5", 1e300, 10**400])
@pytest.mark.parametrize("name", GOLD)
def test_what_is_no_number_is_refused(name, bad):
    solution = gold(name)
    rows = rows_of(solution)
    if isinstance(rows[0], list):
        rows[3][1] = bad
    else:
        rows[3] = bad
    refuse(GOLD[name][0], solution, "number|finite|between")


@pytest.mark.parametrize("name", ["cp_alphaevolve", "cp_thetaevolve", "rectangle"])
def test_a_circle_moved_by_a_thousandth_is_refused(name):
    task, _ = GOLD[name]
    for i, (dx, dy) in itertools.product(range(5), [(1e-3, 0), (-1e-3, 0), (0, 1e-3), (0, -1e-3)]):
        solution = gold(name)
        solution[i][0] += dx
        solution[i][1] += dy
        refuse(task, solution, "overlap by|outside the square by|perimeter")


def test_a_circle_that_grows_by_a_thousandth_is_refused():
    for i in range(26):
        solution = gold("cp_thetaevolve")
        solution[i][2] += 1e-3
        refuse("cp", solution, "overlap by|outside the square by")


@pytest.mark.parametrize("circle", [[0.5, 0.5, -0.1], [-0.2, 0.5, 0.0], [0.5, 1.2, 0.0]])
def test_circles_that_are_none_are_refused(circle):
    solution = gold("cp_thetaevolve")
    solution[0] = circle
    refuse("cp", solution, "below 0|outside the square")


def test_inflated_radii_gain_nothing_where_the_score_is_strict():
    plain = score("cp", gold("cp_thetaevolve"))["metrics"]
    inflated = [[x, y, r + 4.9e-7] for x, y, r in gold("cp_thetaevolve")]
    found = score("cp", inflated)
    assert found["metrics"]["tolerant"] > plain["tolerant"] + 4e-6
    assert found["metrics"]["exact"] == 0.0
    assert found["fitness"] == found["metrics"]["strict"] < plain["strict"]
    assert score("cp", inflated, "tolerant")["fitness"] == found["metrics"]["tolerant"]
    # Two circles together would overlap by more than the tolerance.
    refuse("cp", [[x, y, r + 9e-7] for x, y, r in gold("cp_thetaevolve")], "overlap by 1.8e-06")


def test_a_published_solution_that_needs_the_tolerance_gets_two_scores():
    found = score("cp", gold("cp_tolerant"))
    assert found["metrics"]["value"] == pytest.approx(2.6359856612, abs=1e-9)
    assert found["metrics"]["strict_value"] < 2.6359830774 < found["metrics"]["value"]


def test_what_the_repair_makes_is_exactly_valid():
    solution = gold("cp_tolerant")
    found = score("cp", solution)["metrics"]
    kept = found["strict_value"] / found["value"] * (1 - 1e-15)
    repaired = [[x, y, r * kept] for x, y, r in solution]
    again = score("cp", repaired)["metrics"]
    assert again["exact"] == 1.0
    assert again["strict"] == pytest.approx(found["strict"], abs=1e-12)


def test_one_unit_in_the_last_place_decides():
    half = [[0.25, 0.25, 0.25], [0.75, 0.25, 0.25], [0.25, 0.75, 0.25], [0.75, 0.75, 0.25]]
    rest = [[0.5, 0.5, 0.0]] * 22
    assert score("cp", half + rest)["metrics"]["exact"] == 1.0  # touching is allowed
    half[0][2] = math.nextafter(0.25, 1.0)
    found = score("cp", half + rest)["metrics"]
    assert found["exact"] == 0.0 and found["strict"] < found["tolerant"]


def test_a_rectangle_that_is_too_long_is_refused():
    solution = gold("rectangle")
    refuse("rectangle", [[v * (1 + 1e-6) for v in row] for row in solution], "perimeter")
    hair = [[v * (1 + 2e-7) for v in row] for row in solution]
    found = score("rectangle", hair)["metrics"]
    assert found["exact"] == 0.0
    # The published figure leaves 6e-8 of the perimeter unused.
    assert 1.0 < found["strict"] < 1.0 + 5e-8 and found["tolerant"] > 1.0 + 1e-7
    small = score("rectangle", [[v / 2 for v in row] for row in solution])
    assert small["fitness"] == pytest.approx(0.5, abs=1e-9)  # nothing is scaled up


@pytest.mark.parametrize("name", ["mmd", "convex13", "convex14"])
def test_a_moved_point_costs(name):
    solution = gold(name)
    for i in range(len(solution)):
        moved = copy.deepcopy(solution)
        moved[i][0] += 1e-3
        assert 0.9 < score(name, moved)["fitness"] < 1.0
    # Where the points lie, and how large they are drawn, is all the same.
    same = [[8.0 * x, 8.0 * y] for x, y in solution]
    assert score(name, same)["fitness"] == score(name, solution)["fitness"]


def test_a_point_outside_the_triangle_is_refused():
    solution = gold("ht")
    below = next(i for i, (_, y) in enumerate(solution) if y == 0.0)
    for dy, fits in [(-1e-3, False), (-2e-6, False), (-9e-7, True)]:
        moved = copy.deepcopy(solution)
        moved[below][1] += dy
        if not fits:
            refuse("ht", moved, f"point {below} lies outside the triangle")
            continue
        found = score("ht", moved)["metrics"]
        assert found["exact"] == 0.0 and found["strict"] < found["tolerant"]
    # The two slanted sides, whose places are no rational numbers.
    for x, y in [(0.25, math.sqrt(3) / 4), (0.75, math.sqrt(3) / 4)]:
        out = math.copysign(1.0, x - 0.5)
        for step, fits in [(-1e-9, True), (9e-7, True), (1.1e-6, False), (1e-3, False)]:
            moved = [*solution[:-1], [x + out * step * math.cos(math.pi / 6), y + step / 2]]
            if fits:
                assert score("ht", moved)["metrics"]["exact"] == 0.0  # for its other points
            else:
                refuse("ht", moved, "point 10 lies outside the triangle")


def test_points_swollen_by_the_tolerance_gain_nothing_where_the_score_is_strict():
    middle = (0.5, math.sqrt(3) / 6)
    swollen = [
        [m + (v - m) * (1 + 3e-6) for v, m in zip(point, middle, strict=True)]
        for point in gold("ht")
    ]
    found = score("ht", swollen)["metrics"]
    assert found["tolerant"] > 1.0 + 5e-6
    assert found["strict"] == pytest.approx(1.0, abs=1e-9)


def test_eleven_corners_and_edges_of_the_triangle_score_nothing():
    assert score("ht", [[0.0, 0.0]] * 11)["fitness"] == 0.0
    assert score("ht", [[i / 10, 0.0] for i in range(11)])["fitness"] == 0.0


def test_starts_of_the_public_tasks_score_as_published():
    for task, name, value in [
        ("cp", "rings", 0.364237),
        ("mmd", "normal", 0.007841),
        ("ht", "base", 0.0),
    ]:
        solution = produce({"solve.py": TASKS[task].seeds[name]}, {})
        assert score(task, solution)["fitness"] == pytest.approx(value, abs=5e-7)


# Kissing numbers that are known


def roots(n):
    """The vectors with two places of +-1."""
    return [
        [a if k == i else b if k == j else 0 for k in range(n)]
        for i, j in itertools.combinations(range(n), 2)
        for a, b in itertools.product((-1, 1), repeat=2)
    ]


def known_vectors(n):
    if n == 2:  # the six of the plane x + y + z = 0
        return [list(v) for v in itertools.permutations((-1, 0, 1))]
    if n == 8:
        odd = [list(v) for v in itertools.product((-1, 1), repeat=8) if math.prod(v) == 1]
        return [[2 * k for k in v] for v in roots(8)] + odd
    return roots(n)


@pytest.mark.parametrize(("n", "count"), [(2, 6), (3, 12), (4, 24), (8, 240)])
def test_proven_kissing_numbers(n, count):
    vectors = known_vectors(n)
    found = score(f"kissing{n}", vectors)
    assert found["metrics"]["value"] == count and found["fitness"] == 1.0
    large = [[1000 * v for v in vector] for vector in vectors]
    assert score(f"kissing{n}", large)["fitness"] == 1.0
    large[0] = [v + (v > 0) - (v < 0) for v in large[0]]  # the longest is longer now
    refuse(f"kissing{n}", large, "too near")
    refuse(f"kissing{n}", [*vectors, vectors[-1]], "too near")
    refuse(f"kissing{n}", [[0] * len(vectors[0]), *vectors], "vector 0 is zero")
    refuse(f"kissing{n}", [[float(v) for v in vector] for vector in vectors], "integers")


def test_more_dimensions_are_not_smuggled_in():
    refuse("kissing2", known_vectors(3), "span more than 2 dimensions")
    refuse("kissing11", known_vectors(12), "span more than 11 dimensions")
    assert score("kissing3", known_vectors(2))["fitness"] == 0.5
    refuse("kissing11", [[1] * 30], "lists of 11 to 27 integers")


def test_a_vector_of_the_593_moved_by_a_thousandth_is_refused():
    solution = gold("kissing11")
    solution[7] = [v + v // 1000 for v in solution[7]]
    refuse("kissing11", solution, "too near")


# Step functions


@pytest.mark.parametrize("count", [1, 2, 7, 50])
def test_constant_functions(count):
    for height in (1, 0.1, 3e5):
        heights = [height] * count
        assert score("autocorrelation1", heights)["metrics"]["value"] == 2.0
        assert score("autocorrelation3", heights)["metrics"]["value"] == 2.0
        assert score("autocorrelation2", heights)["metrics"]["value"] == float(Fraction(2, 3))


def test_small_step_functions_by_hand():
    # f = 2, 1: f*f has 4, 4, 1 at its knots.
    assert score("autocorrelation1", [2, 1])["metrics"]["value"] == 2 * 2 * 4 / 9
    assert score("autocorrelation2", [2, 1])["metrics"]["value"] == float(
        Fraction(16 + 48 + 21 + 1, 3 * 9 * 4)
    )
    # f = 2, -1: 4, -4, 1.
    assert score("autocorrelation3", [2, -1])["metrics"]["value"] == 2 * 2 * 4 / 1
    # The same function in narrower steps.
    assert score("autocorrelation1", [2, 2, 1, 1]) != score("autocorrelation1", [2, 1])
    for task in ("autocorrelation1", "autocorrelation2", "autocorrelation3"):
        wide, narrow = ([2, 1], [2, 2, 2, 1, 1, 1])
        assert score(task, narrow)["fitness"] == pytest.approx(score(task, wide)["fitness"])


@pytest.mark.parametrize("task", ["autocorrelation1", "autocorrelation2"])
def test_heights_below_zero_are_refused_or_count_as_zero(task):
    heights = gold(task)
    least = heights.index(min(heights))
    for low, fits in [(-1e-3, False), (-1.1e-6, False), (-0.9e-6, True)]:
        heights[least] = low * max(heights)
        if not fits:
            refuse(task, heights, f"height {least} is below 0")
            continue
        found = score(task, heights)["metrics"]
        heights[least] = 0.0
        assert found["exact"] == 0.0 and found["strict"] == score(task, heights)["fitness"]


def test_step_functions_without_an_integral_are_refused():
    for task in ("autocorrelation1", "autocorrelation2", "autocorrelation3"):
        refuse(task, [0.0, 0.0], "the integral of the step function is 0")
        refuse(task, [], "there must be 1 to 2000 heights")
        refuse(task, [1.0] * 2001, "there must be 1 to 2000 heights")
    refuse("autocorrelation3", [1.0, -1.0], "the integral of the step function is 0")


@pytest.mark.parametrize("task", ["autocorrelation1", "autocorrelation3"])
def test_a_changed_height_changes_the_value(task):
    heights = gold(task)
    heights[len(heights) // 2] += 1e-3 * max(heights)
    assert score(task, heights)["fitness"] != score(task, gold(task))["fitness"]


# Hexagons


def honeycomb():
    """A hexagon, and the six around it, which touch it."""
    ring = [(math.radians(30 + 60 * k), math.sqrt(3)) for k in range(6)]
    return [[0.0, 0.0, 0.0]] + [[r * math.cos(a), r * math.sin(a), 0.0] for a, r in ring]


def test_one_hexagon_fits_into_itself():
    problem = hexagons(1)
    for degrees in (0.0, 17.3, -1234.5):
        one = {"hexagons": [[3.0, -2.0, degrees]], "outer": [3.0, -2.0, degrees, 1.0]}
        assert problem.score(one).strict == pytest.approx(1.0, abs=1e-12)
        one["outer"][3] = 0.999
        with pytest.raises(ValueError, match="hexagon 0 is outside"):
            problem.score(one)
        one["outer"] = [3.0, -2.0, degrees + 1.0, 1.0]
        with pytest.raises(ValueError, match="hexagon 0 is outside"):
            problem.score(one)


def test_seven_hexagons_make_a_honeycomb():
    problem = hexagons(7)
    side = 5 / math.sqrt(3)
    found = problem.score({"hexagons": honeycomb(), "outer": [0.0, 0.0, 30.0, side]})
    assert found.strict == pytest.approx(1.0, abs=1e-12) and found.value == side
    for outer in ([0.0, 0.0, 30.0, side * 0.999], [0.0, 0.0, 0.0, side], [0.01, 0.0, 30.0, side]):
        with pytest.raises(ValueError, match="is outside by"):
            problem.score({"hexagons": honeycomb(), "outer": outer})
    # Straight, it needs a side of 3.
    found = problem.score({"hexagons": honeycomb(), "outer": [0.0, 0.0, 0.0, 3.0]})
    assert found.strict == pytest.approx(side / 3, abs=1e-12)


@pytest.mark.parametrize("name", ["hexagons11", "hexagons12"])
def test_hexagons_that_overlap_or_stick_out_are_refused(name):
    solution = gold(name)
    found = 0
    for i, k in itertools.product(range(11), range(2)):
        for step in (-1e-2, 1e-2):
            moved = copy.deepcopy(solution)
            moved["hexagons"][i][k] += step
            try:
                score(name, moved)
            except BadArtifact as error:
                found += 1
                assert "overlap by" in str(error) or "is outside by" in str(error)
    assert found > 30  # a hexagon or two have room to move
    smaller = copy.deepcopy(solution)
    smaller["outer"][3] *= 1 - 1e-3
    refuse(name, smaller, "is outside by")
    refuse(name, {"hexagons": solution["hexagons"]}, "a solution must be")
    refuse(name, solution["hexagons"], "a solution must be")
    for side in (0.0, -3.9):
        refuse(name, {**solution, "outer": [0.0, 0.0, 0.0, side]}, "must be above 0")


def test_an_outer_hexagon_shrunk_by_the_tolerance_gains_nothing_where_the_score_is_strict():
    solution = gold("hexagons12")
    solution["outer"][3] -= 1e-6
    found = score("hexagons12", solution)["metrics"]
    if found["exact"]:  # the published one has room to spare: tighten it until it has none
        solution["outer"][3] -= 1e-6
        found = score("hexagons12", solution)["metrics"]
    assert found["exact"] == 0.0
    assert found["strict"] < found["tolerant"]
    assert found["strict_value"] > solution["outer"][3]
