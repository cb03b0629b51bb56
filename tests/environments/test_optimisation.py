"""Optimisation: every task as an environment, its arithmetic, and programs that cheat."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elm.build import build_bundle
from elm.checkup import check
from environments.artifact import BadArtifact
from environments.construct import construct
from environments.optimisation import circles, exact
from environments.optimisation.environment import Optimisation
from environments.optimisation.judge import judge
from environments.optimisation.problems.autocorrelation import convolution
from environments.optimisation.problems.problem import Problem
from environments.optimisation.producer import produce
from environments.optimisation.tasks import TASKS
from sandbox.protocol import Limits, Status, Task
from sandbox.slot import Slot

BAD = [None, [], {}, [[]], [[0, 0]], [None], "text", 3, 0.5, True, [True] * 26, [[True] * 3] * 26,
       [math.nan], [[math.nan] * 3] * 26, [[10**400] * 3] * 26, [10**400], [[0.5, 0.5]] * 26,
       [[0.5, 0.5, 0.1, 0.1]] * 26, [[0.5, "0", 0.1]] * 26, {"hexagons": []}, {"outer": [0] * 4},
       {"hexagons": 3, "outer": 4}, {"hexagons": [[0, 0, 0]] * 11, "outer": [0, 0, 0, math.inf]},
       {"hexagons": [[0, 0, 0]] * 12, "outer": [0, 0, 0]}, [[0] * 11] * 2, [[1] * 11, [1] * 10],
       [[1.5] * 11], [[10**30] * 11], [[[0.5, 0.5]]] * 16, [[[1] * 12]], ["a"] * 11]  # fmt: skip


def solutions(env):
    """Of all seeds and of twenty random programs, as they come out of a sandbox."""
    programs = [seed.program for seed in env.seeds()]
    programs += [env.random_program(random.Random(number)) for number in range(20)]
    return [json.loads(json.dumps(produce(program.files, {}))) for program in programs]


@pytest.mark.parametrize("task", TASKS)
def test_every_task_keeps_to_the_contract(task):
    findings = list(check(Optimisation(task=task), execute=False))
    assert len(findings) >= 6
    assert not [str(finding) for finding in findings if finding.failed]


SLOW = [
    pytest.param(task, marks=pytest.mark.slow)
    for task in ("kissing8", "hexagons12", "autocorrelation3")
]


@pytest.mark.parametrize("task", ["cp", *SLOW])
def test_tasks_keep_to_the_contract_in_a_sandbox(task):
    findings = list(check(Optimisation(task=task)))
    assert not [str(finding) for finding in findings if finding.failed]


@pytest.mark.parametrize("task", TASKS)
def test_seeds_and_random_programs_score_in_range(task):
    env = Optimisation(task=task)
    for solution in solutions(env):
        for kind in ("strict", "tolerant"):
            found = judge(solution, {"task": task, "score": kind})
            assert found["fitness"] == found["metrics"][kind]
        assert found["metrics"]["strict"] <= found["metrics"]["tolerant"] < 1.0 + 1e-12
        for axis, value in zip(env.axes, found["descriptor"], strict=True):
            assert type(value) is float and axis.low <= value <= axis.high
        assert all(math.isfinite(value) for value in found["metrics"].values())
    texts = [env.random_program(random.Random(number)).source for number in range(20)]
    assert len(set(texts)) == 20
    assert texts[7] == env.random_program(random.Random(7)).source


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: repr(bad)[:30])
@pytest.mark.parametrize("task", TASKS)
def test_bad_solutions_are_called_bad(task, bad):
    with pytest.raises(BadArtifact) as error:
        judge(bad, {"task": task, "score": "strict"})
    assert 0 < len(str(error.value)) < 200 and "\n" not in str(error.value)


@pytest.mark.parametrize("task", TASKS)
def test_problems_are_described(task):
    problem: Problem = TASKS[task]
    assert problem.statement.startswith("solve() ") and len(problem.seeds) >= 2
    assert all(best.value > 0 and best.credit for best in problem.bests)
    assert len(problem.axes) == 2 and all(10 <= axis.cells <= 20 for axis in problem.axes)
    prompt = Optimisation(task=task).prompt
    assert prompt.instruction in prompt.preamble


def test_only_proven_tasks_have_a_best_possible_score():
    proven = [task for task in TASKS if Optimisation(task=task).objective.f_max is not None]
    assert proven == ["kissing2", "kissing3", "kissing4", "kissing8"]


@pytest.mark.parametrize(("settings", "message"), [
    ({"task": "tsp"}, r"environment\.task must be one of cp, mmd, .*, got 'tsp'"),
    ({"task": None}, r"environment\.task"),
    ({"score": "lenient"}, r"environment\.score must be one of strict, tolerant, got 'lenient'"),
    ({"seconds": 0}, r"environment\.seconds must be above 0, got 0"),
    ({"tasks": "cp"}, r"environment\.tasks: unknown setting .*did you mean 'task'"),
])  # fmt: skip
def test_wrong_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message) as error:
        construct("environment", {"name": "it", **settings}, {"it": Optimisation})
    assert "\n" not in str(error.value)


# Arithmetic

COORDINATE = st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)


@settings(deadline=None)
@given(st.lists(st.lists(COORDINATE, min_size=2, max_size=3), max_size=5))
def test_a_scale_holds_numbers_exactly(rows):
    scaled, scale = exact.on_a_scale(rows)
    assert [[Fraction(n, scale) for n in row] for row in scaled] == [
        [Fraction(value) for value in row] for row in rows
    ]


@settings(deadline=None)
@given(st.integers(-(10**30), 10**30), st.integers(-(10**30), 10**30))
def test_multiples_of_the_root_of_three(a, b):
    # 3 a^2 and b^2 never meet but at 0, so the comparison of 60 digits decides.
    root = math.isqrt(3 * 10**160)
    assert exact.root3_times_reaches(a, b) == (a * root >= b * 10**80 or a == b == 0)


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=1, max_size=40))
def test_convolutions_are_those_of_numpy(heights):
    assert convolution(heights) == np.convolve(heights, heights).tolist()


@settings(deadline=None)
@given(st.lists(st.integers(0, 10**18), min_size=1, max_size=12))
def test_convolutions_of_large_numbers(heights):
    n = len(heights)
    plain = [
        sum(heights[i] * heights[k - i] for i in range(max(0, k - n + 1), min(k, n - 1) + 1))
        for k in range(2 * n - 1)
    ]
    assert convolution(heights) == plain


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=14))
def test_hulls_hold_all_points(points):
    corners = exact.hull(points)
    assert set(corners) <= set(points) and len(set(corners)) == len(corners)
    if len(corners) >= 3:
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True):
            assert all(exact.turn(a, b, point) >= 0 for point in points)
        # The hull is the largest: no triangle of points is larger.
        assert exact.area(corners) >= exact.least_triangle(points)
    else:
        assert exact.area(corners) == 0


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**9))
def test_shrunk_circles_touch_and_do_not_overlap(seed):
    rng = random.Random(seed)
    rows = [[rng.random(), rng.random(), rng.random() / 5] for _ in range(8)]
    placed, _ = exact.on_a_scale(rows)
    factor = circles.largest_factor(placed)

    def shrunk(by):
        return [(x * circles.ONE, y * circles.ONE, r * by) for x, y, r in placed]

    assert 0 < factor <= circles.ONE
    assert circles.overlap(shrunk(factor), 0) is None
    if factor < circles.ONE:
        assert circles.overlap(shrunk(factor + 1), 0) is not None


@pytest.mark.parametrize(
    "heights",
    [
        [-5e-324, 1e6] * 1000,
        pytest.param([5e-324, 1e6] * 1000, marks=pytest.mark.slow),
        pytest.param(
            [random.Random(i).random() * 10.0 ** -(i % 300) for i in range(2000)],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["signed", "tiny", "wide"],
)
def test_floats_of_every_size_are_scored_exactly(heights):
    found = judge(heights, {"task": "autocorrelation3", "score": "strict"})
    plain = np.convolve(heights, heights)
    assert found["metrics"]["value"] == pytest.approx(
        2 * len(heights) * plain.max() / sum(heights) ** 2
    )


@pytest.mark.parametrize(("task", "solution"), [
    ("autocorrelation3", [1e6, 5e-324, -1e6]),
    ("mmd", [[i, 0.0] for i in range(1, 15)] + [[0.0, 0.0], [0.0, 5e-324]]),
])  # fmt: skip
def test_values_that_no_float_holds_are_refused(task, solution):
    with pytest.raises(BadArtifact, match="too large for a float"):
        judge(solution, {"task": task, "score": "strict"})


# What the producer takes


def program(body):
    return {"solve.py": "def solve():\n" + "\n".join("    " + line for line in body.splitlines())}


def test_arrays_and_tuples_become_lists():
    for body in (
        "return np.arange(6.0).reshape(3, 2)",
        "return [np.array([0, 1]), (2.0, np.float32(3)), [np.int64(4), 5]]",
    ):
        solution = produce(program(body), {})
        assert solution == [[0, 1], [2, 3], [4, 5]]
        assert all(type(v) in (int, float) for row in solution for v in row)


@pytest.mark.parametrize("body", [
    "return None", "return 'text'", "return [True]", "return [1j]", "return [float('nan')]",
    "return np.array([np.inf])", "return {1: 2}", "return {3, 4}", "return np.array([None])",
    "return [[[[[[[[1]]]]]]]]", "a = []\na.append(a)\nreturn a", "yield 1", "return range(3)",
    "class Many(list):\n    pass\nreturn Many([1])", "return lambda: 3", "raise KeyError",
    "return np.array([True])",
])  # fmt: skip
def test_what_is_no_plain_data_is_refused(body):
    with pytest.raises((ValueError, KeyError)):
        produce(program(body), {})


# In the sandbox


@pytest.fixture(scope="module")
def slot():
    slot = Slot(build_bundle(Optimisation(task="cp")))
    slot.start()
    yield slot
    slot.close()


def run(slot, body, seed=1):
    return slot.evaluate(Task(1, slot.bundle.digest, program(body), seed))


CHEATS = {
    "claims a score": "return {'fitness': 9.9, 'descriptor': [1, 1], 'metrics': {}}",
    "changes its caller": """
import sys
frame = sys._getframe(1)
frame.f_globals['_plain'] = lambda value, depth: [[0.5, 0.5, 5.0]] * 26
return []""",
    "looks for the judge": """
import environments.optimisation.judge
return []""",
    "looks for the problems": """
import environments.optimisation.tasks
return []""",
    "swells": "return [[0.1 + 0.2 * (i % 5), 0.1 + 0.2 * (i // 5), 0.2] for i in range(25)]"
    " + [[0.5, 0.5, 0.0]]",
    "one big circle": "return [[0.5, 0.5, 0.5]] * 26",
    "infinite": "return [[0.5, 0.5, float('inf')]] * 26",
    "huge": "return [[1e308, 1e308, 1e308]] * 26",
    "long": "return [[0.5, 0.5, 0.0]] * 10_000",
    "an equal to all": """
class Same(float):
    def __lt__(self, other): return False
    __gt__ = __le__ = __ge__ = __eq__ = __lt__
return [[Same(0.5), Same(0.5), Same(9.0)]] * 26""",
    "list of its own": """
class Own(np.ndarray):
    def tolist(self): return Own
return np.zeros((26, 3)).view(Own)""",
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_no_cheat_scores(slot, cheat):
    found = run(slot, CHEATS[cheat])
    assert found.status in (Status.BAD_RESULT, Status.RUNTIME_ERROR), found
    assert found.fitness is None
    after = run(slot, "return [[0.5, 0.5, 0.5]] + [[0, 0, 0]] * 25")
    assert (after.status, after.fitness) == (Status.OK, 0.5 / 2.635)


def test_a_seed_scores_in_the_sandbox_as_it_does_outside(slot):
    for seed in Optimisation().seeds():
        found = slot.evaluate(Task(1, slot.bundle.digest, seed.program.files, 3))
        here = judge(produce(seed.program.files, {}), {"task": "cp", "score": "strict"})
        assert (found.status, found.fitness) == (Status.OK, here["fitness"])
        assert found.metrics == here["metrics"] and list(found.descriptor) == here["descriptor"]


def test_programs_that_go_on_are_stopped():
    bundle = build_bundle(Optimisation(task="mmd", seconds=0.5))
    assert bundle.limits.cpu_seconds == 0.5 and bundle.limits.wall_seconds > 20.0
    assert build_bundle(Optimisation()).limits.cpu_seconds == 10.0 > Limits().cpu_seconds
    slot = Slot(msgspec.structs.replace(bundle))
    slot.start()
    try:
        assert run(slot, "while True:\n    pass").status is Status.TIMEOUT
        found = run(slot, "return np.random.default_rng(42).normal(size=(16, 2))")
        assert found.status is Status.OK and found.fitness == pytest.approx(0.007841, abs=5e-7)
    finally:
        slot.close()


def test_what_numpy_draws_by_chance_is_the_same_again(slot):
    body = "points = np.random.rand(26, 2)\nreturn [[x, y, 0.0] for x, y in points.tolist()]"
    first, second, other = run(slot, body), run(slot, body), run(slot, body, seed=2)
    assert first.status is Status.OK and first.descriptor == second.descriptor
    assert other.status is Status.OK


def test_pictures_show_what_was_found():
    for task in TASKS:
        env = Optimisation(task=task)
        for seed in env.seeds():
            solution = json.loads(json.dumps(produce(seed.program.files, {})))
            picture = env.render(solution)
            assert (picture is None) == task.startswith("kissing")
            assert picture is None or "nan" not in picture
