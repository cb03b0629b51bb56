"""The parity environment: the five bugs, the truth table, and programs that only look right."""

from __future__ import annotations

import itertools

import pytest

from elm.build import build_bundle
from environments.artifact import BadArtifact
from environments.parity.bugs import MOST, with_bugs
from environments.parity.environment import FILE, Parity
from environments.parity.judge import judge
from environments.parity.producer import produce
from sandbox.protocol import Status, Task
from sandbox.slot import Slot

TRUTH = [sum(bits) % 2 for bits in itertools.product((0, 1), repeat=4)]


def table(body: str) -> list[int | None]:
    return produce({FILE: f"def parity(b1, b2, b3, b4):\n    {body}\n"}, {})


def test_the_right_program_is_right():
    assert produce({FILE: with_bugs(0)}, {}) == TRUTH
    scores = judge(TRUTH, {})
    assert scores["fitness"] == 1.0 and scores["descriptor"] == [8.0, 4.0]
    for body in ("return b1 ^ b2 ^ b3 ^ b4", "return [0, 1, 0, 1, 0][b1 + b2 + b3 + b4]"):
        assert judge(table(body), {})["fitness"] == 1.0


@pytest.mark.parametrize("bugs", range(1, MOST + 1))
def test_each_bug_breaks_it_and_is_one_word(bugs):
    text = with_bugs(bugs)
    assert judge(produce({FILE: text}, {}), {})["fitness"] == 0.0
    before = with_bugs(bugs - 1).split()
    assert sum(a != b for a, b in zip(before, text.split(), strict=True)) == 1


def test_the_fifth_bug_alone_leaves_five_answers_right():
    text = with_bugs(0).replace("% 2", "% 3")
    made = produce({FILE: text}, {})
    assert made.count(None) == 6 and judge(made, {})["fitness"] == 5 / 16


@pytest.mark.parametrize("bugs", [-1, 6, True, 1.0, "1", None])
def test_other_numbers_of_bugs_are_refused(bugs):
    with pytest.raises(ValueError, match=r"^environment\.bugs must be"):
        Parity(bugs)
    if type(bugs) is int:
        with pytest.raises(ValueError, match="0 to 5 bugs"):
            with_bugs(bugs)


@pytest.mark.parametrize("bugs", range(MOST + 1))
def test_the_first_program_has_as_many(bugs):
    (seed,) = Parity(bugs).seeds()
    assert seed.program.source == with_bugs(bugs)
    assert seed.name == f"{bugs} bugs"


def test_descriptor():
    assert judge([0] * 16, {})["descriptor"] == [0.0, 0.0]
    assert judge(table("return b1"), {})["descriptor"] == [8.0, 1.0]
    assert judge(table("return b2 & b3"), {})["descriptor"] == [4.0, 2.0]
    assert judge([None] * 16, {})["metrics"] == {"answered": 0.0}


@pytest.mark.parametrize(
    "answer",
    ["True", "b1 == b2", "1.0", "'1'", "None", "2", "-1", "10 ** 5000", "float('nan')", "[1]"],
)
def test_only_the_ints_0_and_1_are_answers(answer):
    made = table(f"return {answer}")
    assert made == [None] * 16


ANY = """
class Any(int):
    def __eq__(self, other): return True
    def __hash__(self): return 0
"""

CHEATS = {
    "always equal": ANY + "def parity(*bits): return Any(1)",
    "in a list": "def parity(*bits): return [sum(bits) % 2]",
    "recursion": "def parity(*bits): return parity(*bits)",
    "table by hand": "def parity(*bits): return None\nparity = [0, 1] * 8",
    "claim": "def parity(*bits): return {'fitness': 1.0}",
    "patched": "import builtins\nbuiltins.type = lambda x: int\ndef parity(*bits): return 7",
    "frames": (
        "import sys\n"
        "def parity(*bits):\n"
        "    frame = sys._getframe(1)\n"
        "    frame.f_globals['_answer'] = lambda *a: 2\n"
        "    return 2\n"
    ),
    "exit": "def parity(*bits): raise SystemExit(0)",
    "judge": "from environments.parity.judge import judge\ndef parity(*bits): return 0",
}


@pytest.fixture(scope="module")
def slot():
    slot = Slot(build_bundle(Parity()))
    slot.start()
    yield slot
    slot.close()


@pytest.mark.parametrize("cheat", CHEATS)
def test_no_cheat_is_right(slot, cheat):
    found = slot.evaluate(Task(1, slot.bundle.digest, {FILE: CHEATS[cheat]}, 1))
    assert found.status is not Status.JUDGE_ERROR
    assert (found.fitness or 0.0) < 0.6
    after = slot.evaluate(Task(2, slot.bundle.digest, {FILE: with_bugs(0)}, 1))
    assert (after.status, after.fitness) == (Status.OK, 1.0)


@pytest.mark.parametrize(
    "bad",
    [TRUTH[:15], [*TRUTH, 0], [True] * 16, [1.0] * 16, ["1"] * 16, [2] * 16, tuple(TRUTH),
     {"0": 1}, [None] * 15 + [[]]],
    ids=lambda bad: repr(bad)[:20],
)  # fmt: skip
def test_other_tables_are_bad(bad):
    with pytest.raises(BadArtifact):
        judge(bad, {})
