"""Puzzles: every checker with a solution and a near miss, types, cheats, and foreign files."""

from __future__ import annotations

import json
import random
import sys

import msgspec
import pytest

from elm.build import build_bundle
from environments.artifact import BadArtifact
from environments.base import Program
from environments.puzzles.answers import MAX_PARTS, check, describe, parse_kind, parts
from environments.puzzles.environment import Puzzles
from environments.puzzles.judge import judge
from environments.puzzles.language import checker
from environments.puzzles.loading import collection
from environments.puzzles.producer import produce
from sandbox.protocol import Status, Task
from sandbox.slot import Slot

SOLUTIONS = {
    "mirror": "return 'abcdaaadcba'",
    "countdown": "return list(range(61, 3, -3))",
    "remainders": """
        return next(n for n in range(1, 1002) if (n % 7, n % 11, n % 13) == (3, 5, 8))""",
    "staircase": "return [('#' * (i + 1)).rjust(6) for i in range(6)]",
    "rhythm": "return [True, False] * 15",
    "root": """
        x = 1.3
        for _ in range(50):
            x = x - (x * x * x - x - 1) / (3 * x * x - 1)
        return x""",
    "tally": "return {'n': 2, 'e': 4, 'v': 2, 'r': 2, 'o': 2, 'd': 2}",
    "change": "return [7, 7, 23, 23]",
    "fractions": "return [2, 4, 10, 12, 15]",
    "golomb": "return [0, 1, 4, 10, 12, 17]",
    "squares": "return [8, 1, 15, 10, 6, 3, 13, 12, 4, 5, 11, 14, 2, 7, 9]",
    "queens": "return [0, 4, 7, 5, 2, 6, 1, 3]",
    "magic": "return [[2, 7, 6], [9, 5, 1], [4, 3, 8]]",
    "colours": """
        from itertools import product
        edges = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 5), (1, 6), (2, 7), (3, 8), (4, 9),
                 (5, 7), (7, 9), (9, 6), (6, 8), (8, 5)]
        for found in product(range(3), repeat=10):
            if all(found[a] != found[b] for a, b in edges):
                return list(found)""",
    "steps": "return 97",
    "apart": "return [4, 1, 3, 1, 2, 4, 3, 2]",
    "ring": """
        bits = "00000"
        while len(bits) < 36:
            bits += "1" if bits[-4:] + "1" not in bits else "0"
        return bits[:32]""",
    "autobiography": "return '6210001000'",
    "sums": "return [[1, 4, 10, 13], [2, 3, 11, 12], [5, 6, 7, 8, 9]]",
    "hanoi": """
        def move(n, a, b, c):
            return move(n - 1, a, c, b) + [[a, b]] + move(n - 1, c, b, a) if n else []
        return move(4, 0, 2, 1)""",
    "knight": """
        jumps = [(1, 2), (2, 1), (-1, 2), (-2, 1), (1, -2), (2, -1), (-1, -2), (-2, -1)]
        def onwards(path):
            if len(path) == 25:
                return path
            r, c = path[-1]
            near = [[r + i, c + j] for i, j in jumps if 0 <= r + i < 5 and 0 <= c + j < 5]
            for place in sorted(p for p in near if p not in path):
                found = onwards([*path, place])
                if found:
                    return found
        return onwards([[0, 0]])""",
}
"""By puzzle: the body of a `sol` that solves it."""


def program(body: str) -> dict[str, str]:
    lines = [line.removeprefix("        ") for line in body.strip("\n").splitlines()]
    return {"puzzle.py": "def sol():\n" + "".join(f"    {line}\n" for line in lines)}


def score(name, answer):
    return judge({"answer": answer}, Puzzles(name).judge_settings())


def spoilt(answer):
    """Nearly the same answer."""
    if isinstance(answer, bool):
        return not answer
    if isinstance(answer, int | float):
        return answer + 1
    if isinstance(answer, str):
        return answer[:-1]
    if isinstance(answer, dict):
        return answer | {min(answer): 0}
    return answer[:-1]


def test_there_is_a_solution_to_every_puzzle():
    assert list(collection()) == list(SOLUTIONS)


@pytest.mark.parametrize("name", SOLUTIONS)
def test_solutions_solve_and_near_misses_do_not(name):
    made = produce(program(SOLUTIONS[name]), {})
    settings = Puzzles(name).judge_settings()
    right = judge(json.loads(json.dumps(made)), settings)
    assert right["fitness"] == 1.0 and right["metrics"]["solved"] == 1.0
    wrong = judge({"answer": spoilt(made["answer"])}, settings)
    assert 0.0 <= wrong["fitness"] <= 0.9 and wrong["metrics"]["solved"] == 0.0
    if settings["credit"] and name not in ("remainders", "magic"):  # where one step spoils all
        assert wrong["fitness"] > 0.0, "a near miss is worth something"
    for seed in Puzzles(name).seeds():
        assert judge(produce(seed.program.files, {}), settings)["fitness"] < 0.5


@pytest.mark.parametrize("name", SOLUTIONS)
def test_checkers_keep_to_the_language_that_files_have_to_keep_to(name):
    puzzle = collection()[name]
    function = checker(puzzle.sat)
    assert function.name == "sat"
    assert describe(parse_kind(puzzle.kind)) == puzzle.kind
    assert puzzle.statement.endswith((".", "..."))
    if puzzle.credit:
        assert checker(puzzle.credit).name == "credit"
    assert "credit" not in Puzzles(name).prompt.preamble


def test_credit_leads_to_the_solution():
    ladder = [[], [0], [0, 17], [0, 1, 17], [0, 1, 4, 17], [0, 1, 4, 10, 17]]
    found = [score("golomb", answer)["fitness"] for answer in ladder]
    assert found == sorted(set(found))
    assert found[-1] < score("golomb", [0, 1, 4, 10, 12, 17])["fitness"]


def test_descriptor_is_of_the_answer_alone():
    assert score("golomb", [])["descriptor"] == [0.0, 0.0]
    assert score("golomb", [5, 5, 5])["descriptor"] == [2.0, pytest.approx(1 / 3)]
    assert score("mirror", "abcabca")["descriptor"] == [3.0, pytest.approx(3 / 7)]
    assert score("tally", {"a": 1, "b": 1, "c": 2})["descriptor"] == [2.0, pytest.approx(2 / 3)]
    assert score("remainders", 777)["descriptor"] == [2.0, pytest.approx(1 / 3)]
    assert list(parts([[1, True], [1.0]])) == [1, True, 1.0]


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("int", True), ("int", 1.0), ("int", "1"), ("int", None), ("int", [1]), ("bool", 1),
        ("bool", 0), ("float", 1), ("float", True), ("float", float("nan")),
        ("float", float("inf")), ("str", 7), ("str", ["a"]), ("str", "\ud800"), ("int", 10**400),
        ("list[int]", (1, 2)), ("list[int]", [1, True]), ("list[int]", [1, 2.0]),
        ("list[int]", [10**400]), ("list[int]", {}), ("list[int]", "12"), ("list[int]", [[1]]),
        ("list[str]", "abc"), ("list[str]", ["a", 1]), ("list[list[int]]", [1]),
        ("list[list[int]]", [[1], 1]), ("dict[str, int]", []), ("dict[str, int]", {"a": "1"}),
        ("dict[str, int]", {1: 1}), ("str", "a" * (MAX_PARTS + 1)),
        ("list[int]", [0] * (MAX_PARTS + 1)), ("list[list[int]]", [[0] * 300] * 300),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_types_are_strict(kind, answer):
    with pytest.raises(ValueError) as error:
        check(answer, parse_kind(kind))
    assert "\n" not in str(error.value) and len(str(error.value)) < 100


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("int", -5), ("int", 10**400 - 1), ("bool", False), ("float", -0.0), ("str", ""),
        ("list[int]", []), ("List[List[str]]", [["a"], []]),
        ("dict[str, list[float]]", {"a": [1.5]}), ("Dict[str, bool]", {"": True}),
        ("str", "日本 ✓"), ("str", "a" * MAX_PARTS),
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_types_that_fit(kind, answer):
    check(answer, parse_kind(kind))


@pytest.mark.parametrize(
    "kind",
    ["object", "list", "set[int]", "dict[int, int]", "list[int", "int | str", "", "1", "a.b"],
)
def test_other_types_are_refused(kind):
    with pytest.raises(ValueError, match="expected int, float, str, bool"):
        parse_kind(kind)


@pytest.mark.parametrize(
    "bad", [None, 7, [], {}, {"answer": [1], "solved": True}, {"answers": []}, {"answer": None}]
)
def test_other_artifacts_are_bad(bad):
    with pytest.raises(BadArtifact):
        judge(bad, Puzzles().judge_settings())


# What a program may hand over in place of an answer, and what becomes of it in a slot.

CHEATS = {
    "always equal": """
        class Any:
            def __eq__(self, other): return True
            def __len__(self): return 6
            def __getitem__(self, key): return 0
        return Any()""",
    "list that changes": """
        class Changing(list):
            def __iter__(self): return iter([0, 1, 4, 10, 12, 17])
            def __len__(self): return 6
        return Changing([1])""",
    "numbers that lie": """
        class Liar(int):
            def __eq__(self, other): return True
            def __hash__(self): return 0
            def __sub__(self, other): return 1
        return [Liar(i) for i in range(6)]""",
    "text that lies": """
        class Text(str):
            def __eq__(self, other): return True
        return Text("x")""",
    "not a number": "return [float('nan')] * 6",
    "infinite": "return [0, 1, 4, 10, 12, float('inf')]",
    "true for one": "return [0, True, 4, 10, 12, 17]",
    "floats": "return [0.0, 1.0, 4.0, 10.0, 12.0, 17.0]",
    "tuple": "return (0, 1, 4, 10, 12, 17)",
    "enormous integers": "return [0, 1, 4, 10, 12, 10 ** 5000]",
    "large integers": "return [0, 1, 4, 10, 12, 10 ** 401]",
    "long": "return [0] * 100000",
    "endless": """
        answer = [0]
        answer.append(answer)
        return answer""",
    "deep": """
        answer = []
        for i in range(50):
            answer = [answer]
        return answer""",
    "recursion": "return sol()",
    "the verdict itself": "return {'fitness': 1.0, 'descriptor': [1.0, 1.0]}",
    "an envelope": "return {'answer': [0, 1, 4, 10, 12, 17]}",
    "its own sat": """
        global sat
        sat = lambda answer: True
        return [1]""",
    "patched builtins": """
        import builtins
        builtins.len = builtins.min = lambda *a: 6
        builtins.type = lambda *a: list
        return [1]""",
    "patched json": """
        import json
        json.dumps = lambda *a, **k: '{"answer": [0, 1], "solved": 1}'
        return [1]""",
    "the judge": """
        import environments.puzzles.judge
        return [0]""",
    "nothing": "pass",
    "generator": "yield [0, 1, 4, 10, 12, 17]",
}


@pytest.fixture(scope="module")
def slot():
    slot = Slot(build_bundle(Puzzles()))
    slot.start()
    yield slot
    slot.close()


def run(slot, files, seed=1):
    return slot.evaluate(Task(1, slot.bundle.digest, files, seed))


@pytest.mark.parametrize("cheat", CHEATS)
def test_no_cheat_solves_it(slot, cheat):
    found = run(slot, program(CHEATS[cheat]))
    assert found.status is not Status.JUDGE_ERROR
    assert found.status is not Status.OK or found.metrics["solved"] == 0.0
    assert (found.fitness or 0.0) < 0.5
    after = run(slot, program(SOLUTIONS["golomb"]))
    assert (after.status, after.fitness) == (Status.OK, 1.0)


def test_a_program_finds_no_checker_and_no_puzzle(slot):
    looks = """
        import sys
        names = [n for n in sys.modules if n.startswith("environments")]
        raise ValueError(" ".join(sorted(names)))"""
    detail = run(slot, program(looks)).detail
    assert "environments.puzzles.producer" in detail
    for name in ("judge", "language", "collection", "answers", "loading"):
        assert name not in detail
    assert "sat" not in json.dumps(Puzzles().producer_settings())


# Puzzles of somebody else.

P3 = [
    {
        "name": "Double:0",
        "sat": "def sat(s: str, word='ha', times=3):\n    return s == word * times",
        "ans_type": "str",
        "sol_header": "def sol(word='ha', times=3):",
        "sol_docstring": '    """Say a word several times."""',
        "sol_bodies": ["    return word * times"],
        "module": "mine.py",
        "notes": "",
        "weight": 1.0,
    },
    {"name": "Bare", "sat": "def sat(li: List[int]):\n    assert li.pop() == 1\n    return True"},
    {"name": "Truthy", "sat": "def sat(n: int):\n    id = n\n    return id"},
    {"name": "Slow", "sat": "def sat(n: int):\n    while n: pass\n    return True"},
    {
        "name": "Greedy",
        "sat": "def sat(n: int):\n    return len('x' * n) > 10 ** 8 and n < 10 ** 8",
    },
    {
        "name": "Keeps",
        "sat": "def sat(n: int, seen=[]):\n    seen.append(n)\n    return len(seen) > 1",
    },
]


@pytest.fixture
def file(tmp_path):
    def write(content):
        path = tmp_path / "puzzles.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def test_a_puzzle_from_a_file(file):
    env = Puzzles("Double:0", file(P3))
    assert env.prompt.opening == "def sol(word='ha', times=3):"
    assert "# Say a word several times." in env.prompt.preamble
    assert "word * times" in env.prompt.preamble
    assert "sol_bodies" not in str(env.parts()) and "return word * times" not in str(env.parts())
    settings = env.judge_settings()
    files = {"puzzle.py": env.prompt.opening + "\n    return word * times\n"}
    assert judge(produce(files, {}), settings)["fitness"] == 1.0
    assert judge({"answer": "haha"}, settings)["fitness"] == 0.0


@pytest.mark.parametrize(
    ("value", "fitness"),
    [("0.5", 0.45), ("1", 0.9), ("7", 0.9), ("-1.0", 0.0), ("True", 0.0), ("'1'", 0.0),
     ("float('nan')", 0.0), ("float('inf')", 0.0), ("n / 0", 0.0), ("None", 0.0)],
)  # fmt: skip
def test_credit_from_a_file(file, value, fitness):
    entry = {
        "name": "own",
        "sat": "def sat(n: int):\n    return n == 5",
        "credit": f"def credit(n: int):\n    return {value}",
    }
    env = Puzzles("own", file([entry]))
    assert "credit" not in env.prompt.preamble
    assert judge({"answer": 4}, env.judge_settings())["fitness"] == pytest.approx(fitness)
    assert judge({"answer": 5}, env.judge_settings())["fitness"] == 1.0
    for wrong, reason in (("def f(n: int): return 1", "named f, expected credit"),
                          ("import os", "is not one function")):  # fmt: skip
        with pytest.raises(ValueError, match=reason):
            Puzzles("own", file([entry | {"credit": wrong}]))


def test_only_true_is_true_and_what_raises_is_not(file):
    path = file(P3)
    assert judge({"answer": 1}, Puzzles("Truthy", path).judge_settings())["fitness"] == 0.0
    bare = Puzzles("Bare", path).judge_settings()
    assert judge({"answer": []}, bare)["metrics"] == {"solved": 0.0, "checker_raised": 1.0}
    assert judge({"answer": [1]}, bare)["descriptor"] == [1.0, 1.0], "though it was taken apart"
    keeps = Puzzles("Keeps", path).judge_settings()
    assert [judge({"answer": 1}, keeps)["fitness"] for _ in range(3)] == [0.0] * 3


def test_slow_and_greedy_checkers_are_bounded(file):
    path = file(P3)
    for name, number in (("Slow", 1), ("Greedy", 10**10)):
        bundle = build_bundle(Puzzles(name, path))
        assert bundle.judge_limits.cpu_seconds == 5.0
        less = msgspec.structs.replace(bundle.judge_limits, cpu_seconds=0.5)
        slot = Slot(msgspec.structs.replace(bundle, judge_limits=less))
        slot.start()
        try:
            found = run(slot, program(f"return {number}"))
            assert found.fitness in (None, 0.0)
            if name == "Slow":
                assert found.status is Status.JUDGE_ERROR
                assert found.detail == "judge over 0.5 s of CPU"
            else:  # a failed allocation
                assert (found.status, found.metrics["checker_raised"]) == (Status.OK, 1.0)
            assert run(slot, program("return 0")).status is Status.OK, "the slot goes on"
        finally:
            slot.close()


def test_a_foreign_checker_runs_in_the_judge_alone_and_cannot_write(tmp_path, file):
    """Even one that got past the reading of its text: the judge is jailed as well."""
    mark = tmp_path / "mark"
    env = Puzzles("Truthy", file(P3))
    settings = env.judge_settings()
    # What a checker would do that had every builtin.
    text = (
        "def sat(n: int):\n"
        "    every = ().__class__.__base__.__subclasses__()\n"
        "    found = [c for c in every if c.__name__ == '_wrap_close']\n"
        "    system = found[0].__init__.__globals__\n"
        f"    system['write'](system['open']({str(mark)!r}, 65, 511), b'x')\n"
        "    return True\n"
    )
    settings |= {"sat": text}
    assert judge({"answer": 1}, settings)["fitness"] == 1.0 and mark.exists(), "outside of a jail"
    mark.unlink()
    env.judge_settings = lambda: settings
    slot = Slot(build_bundle(env))
    slot.start()
    try:
        found = run(slot, program("return 1"))
    finally:
        slot.close()
    assert found.metrics == {"solved": 0.0, "checker_raised": 1.0}
    assert not mark.exists()


@pytest.mark.parametrize(
    ("sat", "reason"),
    [
        ("def sat(s: str): return eval(s) == 7", "calls eval, which could run an answer as code"),
        ("def sat(s: str): return open(s).read() == ''", "calls open"),
        ("def sat(s: str):\n    import os\n    return True", "imports os"),
        ("def sat(s: str):\n    from itertools import chain\n    return True", "imports itertools"),
        ("def sat(s: str): return s.__class__ is str", "reads the attribute __class__"),
        ("def sat(s: str): return print(s) is None", "uses print, which a checker cannot have"),
        ("def sat(s: str): return __import__('os')", "calls __import__"),
        ("import os\ndef sat(s: str): return True", "is not one function"),
        ("sat = lambda s: True", "is not one function"),
        ("def sat(s): return True", "does not say of what type"),
        ("def sat(): return True", "does not say of what type"),
        ("def sat(s: set): return True", "no answer can be of type 'set'"),
        ("def sat(s: str, t): return True", "takes more than an answer"),
        ("def sat(s: str, *t): return True", "takes more than an answer"),
        ("def check(s: str): return True", "has a checker named check, expected sat"),
        ("@cache\ndef sat(s: str): return True", "has a decorator"),
        ("def sat(s: str: return True", "does not parse"),
        ("def sat(n: int, m=" + "9" * 5000 + "): return True", "does not parse: Exceeds the limit"),
        ("def sat(n: int): return " + "(" * 500 + "1" + ")" * 500, "does not parse"),
        ("def sat(n: int): return '\0'", "does not parse"),
    ],
    ids=lambda value: value[:40],
)
def test_checkers_that_are_not_taken(file, sat, reason):
    path = file([{"name": "odd", "sat": sat}])
    with pytest.raises(ValueError) as error:
        Puzzles("odd", path)
    message = str(error.value)
    assert message.startswith(f"environment.puzzle: 'odd' of {path} ") and reason in message
    assert "\n" not in message and len(message) < 400


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "no JSON list of puzzles"),
        ("{}", "no JSON list of puzzles"),
        ("[]", "holds no puzzles"),
        ('[{"name": "a"}]', "missing required field `sat`"),
        ('[{"name": 1, "sat": ""}]', "Expected `str`, got `int`"),
        ("[1", "no JSON list of puzzles"),
        ("[" * 5000, "no JSON list of puzzles"),
    ],
)
def test_files_that_are_not_taken(file, content, reason):
    with pytest.raises(ValueError, match=r"^environment\.file: .*puzzles\.json ") as error:
        Puzzles("a", file(content))
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_names_that_are_not_there(file, tmp_path):
    with pytest.raises(ValueError, match=r"^environment\.puzzle .*did you mean 'golomb'\?$"):
        Puzzles("golom")
    with pytest.raises(
        ValueError, match=r"^environment\.puzzle .*of the 6 puzzles of .*'Double:0'\?"
    ):
        Puzzles("Double:1", file(P3))
    with pytest.raises(ValueError, match=r"^environment\.file: cannot read .*No such file"):
        Puzzles("a", str(tmp_path / "none.json"))
    with pytest.raises(ValueError, match=r"^environment\.file: cannot read .*[Dd]irectory"):
        Puzzles("a", str(tmp_path))
    for key, value in (("puzzle", 7), ("puzzle", None), ("file", ["a"])):
        with pytest.raises(ValueError, match=rf"^environment\.{key} must be a text"):
            Puzzles(**{key: value})


def test_reading_executes_nothing(file):
    sat = "def sat(n: int, m=1 / 0):\n    return True"
    env = Puzzles("loud", file([{"name": "loud", "sat": sat}]))
    assert [seed.name for seed in env.seeds()] == ["plain", "loop"]
    assert env.parts()["judge_settings"]["sat"] == sat + "\n"
    assert "environments.puzzles.collection" not in sys.modules


@pytest.mark.parametrize(
    "kind", ["int", "float", "str", "bool", "list[str]", "list[list[float]]", "dict[str, bool]",
             "list[dict[str, list[int]]]", "dict[str, dict[str, str]]", "list[list[list[bool]]]"]
)  # fmt: skip
def test_programs_of_every_type_fit_their_type(file, kind):
    env = Puzzles("x", file([{"name": "x", "sat": f"def sat(a: {kind}): return False"}]))
    programs = [seed.program for seed in env.seeds()]
    programs += [env.random_program(random.Random(i)) for i in range(10)]
    for made in programs:
        assert isinstance(made, Program)
        found = judge(produce(made.files, {}), env.judge_settings())
        assert found["fitness"] == 0.0
        for axis, value in zip(env.axes, found["descriptor"], strict=True):
            assert axis.low <= value <= axis.high
