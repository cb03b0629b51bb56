"""The physics of Sodarace, and each way in which a walker's score could be nonsense."""

from __future__ import annotations

import json
import math
import random
import xml.etree.ElementTree as ElementTree

import pytest

pytest.importorskip("Box2D")

from environments.artifact import BadArtifact
from environments.sodarace.design import JOINT_KG, read
from environments.sodarace.environment import Sodarace
from environments.sodarace.judge import judge
from environments.sodarace.physics import MAX_SWING, rest_length, simulate
from environments.sodarace.producer import produce

SETTINGS = Sodarace().judge_settings()


def seed(name):
    (only,) = Sodarace(seeds=[name]).seeds()
    return produce(only.program.files, {})


def stiff(walker):
    return {
        "joints": walker["joints"],
        "muscles": [[a, b, 0.0, phase] for a, b, _, phase in walker["muscles"]],
    }


def build(text):
    return produce({"walker.py": f"def make_walker():\n    wc = walker_creator()\n{text}"}, {})


@pytest.fixture(scope="module")
def random_walkers():
    env = Sodarace()
    return [produce(env.random_program(random.Random(i)).files, {}) for i in range(40)]


@pytest.mark.parametrize("height", [0.0, 7.0, 300.0])
def test_free_fall_is_not_measured(height):
    walker = seed("square")
    raised = walker | {"joints": [[x, y + height] for x, y in walker["joints"]]}
    scores = judge(raised, SETTINGS)
    assert scores["fitness"] == pytest.approx(judge(walker, SETTINGS)["fitness"], abs=0.5)
    motion = simulate(read(raised), SETTINGS, frames=True)
    lowest = [min(y for _, y in pose) for pose in motion.frames]
    assert max(lowest) < 1.0  # on the ground for all of the time that counts
    assert len(motion.frames) == 120


@pytest.mark.parametrize("name", ["square", "radial", "cppn_fixed", "cppn_mutable"])
def test_stiff_walkers_cover_nothing_and_there_is_no_offset(name):
    assert judge(stiff(seed(name)), SETTINGS)["fitness"] < 0.01


def test_stiff_random_walkers_cover_hardly_anything(random_walkers):
    assert max(judge(stiff(walker), SETTINGS)["fitness"] for walker in random_walkers) < 0.1


@pytest.mark.parametrize("name", ["square", "radial", "cppn_fixed", "cppn_mutable"])
def test_seeds_walk(name):
    assert judge(seed(name), SETTINGS)["fitness"] > 2.0


def test_place_does_not_matter():
    walker = seed("square")
    moved = walker | {"joints": [[x + 250.0, y] for x, y in walker["joints"]]}
    there = judge(moved, SETTINGS)["metrics"]["displacement"]
    assert there == pytest.approx(judge(walker, SETTINGS)["metrics"]["displacement"], abs=0.5)


def test_rest_length_swings_by_amplitude_and_shifts_by_phase():
    times = [k / 1000 * 2 * math.pi / 3.0 for k in range(1000)]
    for phase in (0.0, 0.25, 0.7):
        lengths = [rest_length(10.0, 2.0, phase, t) for t in times]
        assert max(lengths) == pytest.approx(12.0, abs=1e-3)
        assert min(lengths) == pytest.approx(8.0, abs=1e-3)
        assert lengths[0] == pytest.approx(10.0 + 2.0 * math.cos(2.0 * math.pi * phase))
    assert rest_length(10.0, 0.0, 0.7, 1.3) == 10.0
    assert rest_length(10.0, 500.0, 0.0, 0.0) == 10.0 * (1 + MAX_SWING)
    assert rest_length(10.0, -500.0, 0.0, 0.0) == 10.0 * (1 - MAX_SWING)


def test_a_muscle_moves_with_its_amplitude_not_its_phase():
    """One muscle of a lying triangle: measured between the joints, as it really swings."""

    def swing(amplitude, phase):
        walker = {
            "joints": [[0.0, 0.0], [10.0, 0.0], [5.0, 8.0]],
            "muscles": [[0, 1, amplitude, phase], [0, 2, 0.0, 0.0], [1, 2, 0.0, 0.0]],
        }
        frames = simulate(read(walker), SETTINGS, frames=True).frames[36:]
        lengths = [math.dist(pose[0], pose[1]) for pose in frames]
        return max(lengths) - min(lengths)

    assert swing(0.0, 0.9) < 0.01
    assert swing(1.0, 0.1) > 0.5
    assert swing(2.0, 0.0) > 1.5 * swing(1.0, 0.0)
    assert swing(1.0, 0.5) == pytest.approx(swing(1.0, 0.0), rel=0.1)


def test_judge_is_stateless_and_bit_identical(random_walkers):
    forward = [judge(walker, SETTINGS) for walker in random_walkers[:12]]
    backward = [judge(walker, SETTINGS) for walker in reversed(random_walkers[:12])]
    assert forward == backward[::-1]


def test_mirrored_walker_goes_the_other_way():
    square = seed("square")
    mirrored = square | {"joints": [[-x, y] for x, y in square["joints"]]}
    here = judge(square, SETTINGS)["metrics"]["displacement"]
    there = judge(mirrored, SETTINGS)["metrics"]["displacement"]
    assert abs(here) > 2.0
    assert there == pytest.approx(-here, rel=0.2)


def test_more_seconds_go_further():
    short = judge(seed("radial"), SETTINGS | {"seconds": 5.0})["fitness"]
    assert judge(seed("radial"), SETTINGS | {"seconds": 20.0})["fitness"] > 2 * short


def test_descriptor_is_of_the_design():
    height, width, mass = judge(seed("square"), SETTINGS)["descriptor"]
    assert (height, width) == (11.0, 11.0)
    assert mass == pytest.approx(5 * JOINT_KG)


def test_limits_hold_three_joints_a_cell_and_no_mass_lies_on_an_edge():
    height, width, mass = Sodarace().axes
    assert (height.low, height.high, width.low, width.high) == (0.0, 30.0, 0.0, 30.0)
    step = (mass.high - mass.low) / mass.cells
    cells = [(joints * JOINT_KG - mass.low) / step for joints in range(3, 39)]
    assert [int(cell) for cell in cells] == [joints // 3 - 1 for joints in range(3, 39)]
    assert all(0.1 < cell % 1.0 < 0.9 for cell in cells)


def test_random_walkers_are_sound_and_in_range(random_walkers):
    for walker in random_walkers:
        scores = judge(walker, SETTINGS)
        assert scores["metrics"]["sound"] == 1.0
        for axis, value in zip(Sodarace.axes, scores["descriptor"], strict=True):
            assert axis.low <= value < axis.high


def test_a_walker_without_time_to_settle_covers_nothing():
    scores = judge(seed("square"), SETTINGS | {"settle_seconds": 0.2})
    assert (scores["fitness"], scores["metrics"]["sound"]) == (0.0, 0.0)


def test_huge_walkers_stay_within_what_is_physical():
    """Everything near its cap: still finite, and still a distance that feet could cover."""
    rng = random.Random(3)
    joints = [[rng.uniform(-30, 30), rng.uniform(0, 60)] for _ in range(64)]
    pairs = {(k - 1, k) for k in range(1, 64)}
    pairs |= set(rng.sample([(a, b) for b in range(64) for a in range(b)], 400))
    muscles = [[a, b, 1000.0, rng.random()] for a, b in sorted(pairs)]
    assert 0.0 <= judge({"joints": joints, "muscles": muscles}, SETTINGS)["fitness"] < 200.0


def test_unknown_terrain_is_refused():
    with pytest.raises(ValueError, match=r"environment\.terrain must be one of flat, got 'hills'"):
        Sodarace(terrain="hills")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seconds": 0}, "environment.seconds must be above 0, got 0"),
        ({"seconds": float("nan")}, "environment.seconds must be a number, got nan"),
        ({"seconds": "ten"}, "environment.seconds must be a number, got 'ten'"),
        ({"settle_seconds": -1.5}, "environment.settle_seconds must be above 0, got -1.5"),
        ({"seeds": []}, "environment.seeds must be a list with at least one of square, radial"),
        ({"seeds": ["round"]}, "environment.seeds must be one of square, radial"),
        ({"seeds": ["square", "square"]}, "environment.seeds names a word twice"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings, message):
    with pytest.raises(ValueError) as error:
        Sodarace(**settings)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_the_interface_forgives():
    plain = build(
        "    a = wc.add_joint(0, 0)\n    b = wc.add_joint(4, 0)\n    c = wc.add_joint(0, 4)\n"
        "    wc.add_muscle(a, b, 0.0, 0.0)\n    wc.add_muscle(b, c, 1.0, 0.0)\n"
        "    return wc.get_walker()\n"
    )
    loose = build(
        "    wc.add_joint((0, 0))\n    wc.add_joint(x=4.0, y='0')\n    wc.add_joint(0, 4)\n"
        "    wc.add_joint(0.001, 4)\n"  # at the place of the third: the same joint
        "    wc.add_muscle(1, 0.0, 7, 7)\n    wc.add_muscle(0, 1)\n"  # the second replaces
        "    wc.add_muscle(2, 1, amplitude=1)\n    return wc\n"  # the creator itself
    )
    assert loose == plain
    assert json.loads(json.dumps(plain)) == plain


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("    return wc.get_walker()\n", "at least 3 joints, got 0"),
        ("    wc.add_joint(0, 0)\n", "must return a walker"),
        ("    wc.add_joint(0)\n", "add_joint needs x and y"),
        ("    wc.add_joint(0, float('nan'))\n", "between -1000 and 1000, got nan"),
        ("    wc.add_joint(0, None or [])\n", "a joint's y must be a number, got list"),
        ("    wc.add_joint(0, 10 ** 400)\n", "a joint's y must be a number"),
        ("    wc.add_muscle(0, 1)\n", "there is no joint 0, only 0 joints"),
        ("    wc.add_muscle('a', 1)\n", "joints from add_joint, got str"),
        ("    a = wc.add_joint(1, 1)\n    wc.add_muscle(a, a)\n", "joint 0 with itself"),
        ("    for i in range(65):\n        wc.add_joint(i, 0)\n", "at most 64 joints"),
        (
            "    for i in range(3):\n        wc.add_joint(i, 0)\n    wc.add_muscle(0, 1)\n"
            "    return wc.get_walker()\n",
            "joint 2 is not connected",
        ),
        ("    return 7\n", "must return a walker"),
    ],
)
def test_the_interface_explains(text, message):
    with pytest.raises(ValueError, match=message):
        build(text)


def test_missing_function_is_explained():
    with pytest.raises(ValueError, match=r"walker\.py defines no function make_walker"):
        produce({"walker.py": "make_walker = 3"}, {})


TRIANGLE = {"joints": [[0, 0], [4, 0], [0, 4]], "muscles": [[0, 1, 0, 0], [1, 2, 1, 0]]}


@pytest.mark.parametrize(
    "change",
    [
        {"joints": [[0, 0], [4, 0]]},
        {"joints": [[0, 0], [4, 0], [0, 4, 1]]},
        {"joints": [[0, 0], [4, 0], [0, True]]},
        {"joints": [[0, 0], [4, 0], [0, 10**400]]},
        {"joints": [[0, 0], [4, 0], [4, 0]]},
        {"joints": [[k, 0] for k in range(65)]},
        {"muscles": []},
        {"muscles": [[0, 1, 0, 0], [1, 3, 1, 0]]},
        {"muscles": [[0, 1, 0, 0], [1, 1, 1, 0], [1, 2, 0, 0]]},
        {"muscles": [[0, 1, 0, 0], [0, 1, 1, 0], [1, 2, 0, 0]]},
        {"muscles": [[0, 1, 0, 0], [1.0, 2, 1, 0]]},
        {"muscles": [[0, 1, 0, 0], [1, 2, float("inf"), 0]]},
        {"muscles": [[0, 1, 0, 0], [-2, 2, 1, 0]]},
        {"seconds": 3},
    ],
)
def test_judge_believes_nothing(change):
    assert judge(TRIANGLE, SETTINGS)["fitness"] >= 0.0
    with pytest.raises(BadArtifact):
        judge(TRIANGLE | change, SETTINGS)


def test_picture_is_one_animated_svg():
    walker = seed("radial")
    tree = ElementTree.fromstring(Sodarace().render(walker))
    kinds = [element.tag.rpartition("}")[2] for element in tree.iter()]
    assert kinds.count("animate") >= 4
    distance = judge(walker, SETTINGS)["fitness"]
    assert f"{distance:.1f} m in 10 s" in "".join(tree.itertext())
    with pytest.raises(ValueError, match="a walker is an object"):
        Sodarace().render([1, 2])
