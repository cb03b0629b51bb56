"""What a specification's file may look like, and what is said of one that cannot be used."""

from __future__ import annotations

import ast

import pytest

from environments.specification.environment import Specification
from environments.specification.parting import without_check

PLAIN = '''\
"""Finds a large number."""
import math

INPUTS = [1, 2]


def evaluate(params):
    return priority(params)


def priority(x):
    """A number."""
    return math.sqrt(x)
'''


@pytest.fixture
def build(tmp_path):
    def build(text=PLAIN, **settings):
        path = tmp_path / "spec.py"
        path.write_text(text, encoding="utf-8")
        return Specification(str(path), **settings)

    return build


MARKED = """\
{imports}
INPUTS = [1]
@{run}
def go(params):
    return better(params)
@{evolve}
def better(x):
    return x + 1
def evaluate(params):
    return 0
def priority(x):
    return 0
"""


@pytest.mark.parametrize(
    ("imports", "run", "evolve"),
    [
        ("import funsearch", "funsearch.run", "funsearch.evolve"),
        ("import funsearch as fs", "fs.run", "fs.evolve()"),
        ("from funsearch import evolve as e, run", "run()", "e"),
        ("from funsearch import evolve, run as r", "r(best=3)", "evolve"),
        ("from funsearch import *", "run", "evolve"),
        ("import funsearch as fs\nfrom funsearch import run", "run", "fs.evolve"),
        ("", "funsearch.run", "funsearch.evolve"),
    ],
)
def test_marks_are_found_under_any_name(build, imports, run, evolve):
    env = build(MARKED.format(imports=imports, run=run, evolve=evolve))
    assert env.prompt.entry == "better" and env.producer_settings()["entry"] == "go"
    assert env.seeds()[0].program.files == {"better.py": "def better(x):\n    return x + 1\n"}


def test_a_decorator_of_the_same_name_from_elsewhere_is_no_mark(build):
    text = PLAIN.replace("def evaluate", "def run(f):\n    return f\n\n@run\ndef evaluate")
    assert build(text).producer_settings()["entry"] == "evaluate"


def test_functions_are_named_by_settings(build):
    text = PLAIN.replace("evaluate", "score").replace("priority", "guess")
    env = build(text, evolve="guess", entry="score")
    assert env.prompt.entry == "guess"
    assert env.prompt.instruction == "Finds a large number."
    assert env.prompt.opening == 'def guess(x):\n    """A number."""'
    assert "import math" in env.prompt.preamble


def test_a_function_in_one_line_becomes_statements(build):
    env = build(
        "INPUTS = [1]\ndef evaluate(p): return priority(p)\ndef priority(x): return 2 * x\n"
    )
    assert env.seeds()[0].program.source == "def priority(x):\n    return 2 * x\n"


BROKEN = {
    "does not parse": (PLAIN.replace("(x):", "(x:"), 11),
    "no function is marked with @funsearch.evolve": (PLAIN.replace("priority(x)", "prio(x)"), 1),
    "did you mean 'priorities'": (PLAIN.replace("def priority(", "def priorities("), 1),
    "no function is marked with @funsearch.run": (PLAIN.replace("evaluate", "assess"), 1),
    "marks 2 functions (lines 16 and 19)": (
        PLAIN
        + "import funsearch as f\n@f.evolve\ndef a():\n    pass\n@f.evolve\ndef b():\n    pass\n",
        19,
    ),
    "defines priority twice": (PLAIN + "def priority(y):\n    return 0\n", 14),
    "must stand at the top level": (
        PLAIN
        + "import funsearch\nclass A:\n    @funsearch.evolve\n    def f(self):\n        pass\n",
        17,
    ),
    "must be a plain function": (PLAIN.replace("def priority", "async def priority"), 11),
    "imports not_a_module_at_all, which is not installed": (
        "import not_a_module_at_all\n" + PLAIN,
        1,
    ),
    "imports from beside itself": (PLAIN.replace("import math", "from . import math"), 2),
    "INPUTS must be written out": (PLAIN.replace("[1, 2]", "list(range(3))"), 4),
    "INPUTS must be a list": (PLAIN.replace("[1, 2]", "7"), 4),
    "F_MIN must be a number": (PLAIN.replace("INPUTS = [1, 2]", "F_MIN = '7'"), 4),
    "F_MIN must be written out": (PLAIN.replace("INPUTS = [1, 2]", "F_MIN = min(1, 2)"), 4),
    "evaluate is called as evaluate(params)": (PLAIN.replace("e(params):", "e(a, b):"), 7),
    "check is called as check(params, solution)": (PLAIN + "def check(x):\n    return 1\n", 14),
    "check must be defined by `def`": (PLAIN + "check = lambda p, s: 1\n", 14),
    "check must be defined by `def` at": (PLAIN + "async def check(p, s):\n    return 1\n", 14),
    "cannot both evolve and evaluate": (
        PLAIN + "import funsearch as f\n@f.evolve\n@f.run\ndef a(x):\n    pass\n",
        17,
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_file_is_refused_with_its_line(build, what):
    text, line = BROKEN[what]
    with pytest.raises(ValueError) as error:
        build(text)
    told = str(error.value)
    assert told.startswith("environment.path: ") and what in told
    assert f"spec.py, line {line}: " in told and "\n" not in told


def test_a_check_that_is_asked_for_and_missing_is_told(build):
    with pytest.raises(ValueError, match=r"no function verdict at the top level"):
        build(check="verdict")
    text = PLAIN + "def verdict(params, solution):\n    return 1\n"
    assert build(text, check="verdict").judge_settings()["check"] == "verdict"


def test_an_import_that_may_fail_is_let_be(build):
    build("try:\n    import not_a_module_at_all\nexcept ImportError:\n    pass\n" + PLAIN)


def test_files_that_are_not_there(tmp_path):
    for path, told in [
        (None, "must name a file, or one of the shipped specifications: "),
        ("cap_sett", "did you mean 'cap_set'"),
        ("./nowhere.py", "no file ./nowhere.py"),
        (str(tmp_path / "spec.txt"), "no file"),
    ]:
        with pytest.raises(ValueError, match=r"environment\.path") as error:
            Specification(path)
        assert told in str(error.value)
    binary = tmp_path / "binary.py"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match="cannot read"):
        Specification(str(binary))


SECRET = """\
import hashlib
import numpy as np

BEST = 512  # the best that is known
TABLE = np.arange(3)
KNOWN = np.array([BEST, 1])
for n in range(3):
    KNOWN[n % 2] = n
SHARED = {}
SHARED["a"] = 1


def helper(x):
    return SHARED["a"] + x


def verdict(solution):
    return KNOWN.sum() + helper(1) + BEST


class Referee:
    level = "high"


@staticmethod
def check(params, solution):
    return verdict(solution) if Referee.level else 0


def evaluate(params):
    return helper(priority(params)), TABLE[0]


def priority(x):
    return x


if __name__ == "__main__":
    print(check(1, 2), "as a script")
"""


def test_what_only_the_check_uses_is_not_shown_to_programs():
    shown = without_check(SECRET, "check", ("evaluate", "priority", "prepare"))
    for gone in ("BEST", "512", "KNOWN", "verdict", "Referee", "high", "check", "script", "known"):
        assert gone not in shown, gone
    for kept in ("TABLE", "SHARED", "def helper", "def evaluate", "def priority", "import hashlib"):
        assert kept in shown, kept
    lines = dict(enumerate(SECRET.split("\n")))
    for number, line in enumerate(shown.split("\n")):  # every statement stays on its line
        assert line in ("", "pass", lines[number]), line
    space: dict = {"__name__": "module"}
    exec(compile(ast.parse(shown), "shown", "exec"), space)
    assert space["evaluate"](2) == (3, 0)


def test_a_check_which_the_entry_uses_stays():
    text = SECRET.replace("return helper(priority", "check(1, 2)\n    return helper(priority")
    assert "BEST = 512" in without_check(text, "check", ("evaluate", "priority", "prepare"))


def test_the_settings_of_the_programs_side_hold_no_check(build):
    env = build(SECRET.replace("@staticmethod\n", ""), inputs=[1])
    assert "512" not in str(env.producer_settings()) and "check" not in str(env.prompt)
    assert "512" in str(env.judge_settings())
    assert env.parts()["scoring"] == "artifact" and env.parts()["preload"] == ("numpy",)
    assert build().parts()["scoring"] == "inside" and build().parts()["judge"] is None


def test_another_text_or_other_inputs_are_another_version(build):
    versions = {build().version, build(PLAIN + "# more\n").version, build(inputs=[1]).version}
    assert len(versions) == 3 and build().version == build().version


def test_the_prompt_shows_what_helps_and_fits(build):
    text = PLAIN.replace(
        "def evaluate",
        "def near(a: int, b=3):\n    'Near.\\n\\nMore.'\n    return a\n\n\ndef evaluate",
    )
    preamble = build(text).prompt.preamble
    assert "def near(a: int, b=3):\n    'Near.'" in preamble.replace('"""', "'")
    ast.parse(preamble)
    long = PLAIN.replace("Finds a large number.", 'Finds \\""" a \\\\ number.\n\n' + "x" * 5000)
    prompt = build(long).prompt
    assert len(prompt.preamble) <= 2000 and len(prompt.instruction) > 5000
