"""Specifications in real slots: what they return, what they claim, and what goes wrong in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elm.build import build_bundle
from elm.dispatch.portions import Portions
from environments.specification.environment import Specification
from environments.specification.judge import judge
from environments.specification.producer import produce
from sandbox.protocol import Status, Task
from sandbox.slot import Slot

CHECKED = '''\
"""Pick numbers below n that add up to much, no two of them next to each other."""
import functools

import funsearch as fs

INPUTS = [(3,), (5,), (8,)]
BEST = {3: 2, 5: 6, 8: 16}  # the known answers
CACHE = {}


@functools.cache
def numbers(n):
    return tuple(range(n))


def prepare(params):
    CACHE[params] = numbers(*params)


@fs.run
def evaluate(params):
    assert CACHE[params] == numbers(*params)
    chosen = []
    for number in sorted(CACHE[params], key=lambda x: -priority(x, params[0])):
        if number - 1 not in chosen and number + 1 not in chosen:
            chosen.append(number)
    return {"score": sum(chosen), "hash": str(sorted(chosen)), "solution": chosen, "extra": 1}


@fs.evolve
def priority(x: int, n: int) -> float:
    """The larger, the sooner `x` is taken."""
    return 0.0


def valid(n, solution):
    return all(type(x) is int and 0 <= x < n and x + 1 not in solution for x in solution)


def check(params, solution):
    if type(solution) is not list or not valid(params[0], solution):
        raise ValueError("not what was asked for")
    if len(set(solution)) < len(solution):
        raise ValueError("a number twice")
    share = sum(solution) / BEST[params[0]]
    return {"score": sum(solution), "length": len(solution), "best": share}
'''
CLAIMED = """\
INPUTS = [1, 2, 3]

def evaluate(n):
    return priority(n), n % 2

def priority(n):
    return 2.0 * n
"""
LIMITS = {"cpu_seconds": 0.5, "wall_seconds": 3.0, "memory_mb": 128, "artifact_bytes": 100_000}


class InSlot:
    """A dispatcher of one slot, which executes as soon as it is asked."""

    level, slots = "L3", 1

    def __init__(self, slot):
        self.slot, self.done = slot, []

    def submit(self, tasks):
        self.done += [self.slot.evaluate(task) for task in tasks]

    def results(self, timeout):
        done, self.done = self.done, []
        return done

    def acknowledge(self, candidates):
        list(candidates)


@pytest.fixture
def bench(tmp_path):
    slots = []

    def bench(text=CHECKED, limits=LIMITS, **settings):
        path = tmp_path / "spec.py"
        path.write_text(text)
        env = Specification(str(path), **settings)
        slot = Slot(build_bundle(env, limits))
        slots.append(slot)
        slot.start()
        portions = Portions(InSlot(slot), env)

        def run(function=None):
            files = env.seeds()[0].program.files if function is None else {"priority.py": function}
            portions.submit([Task(0, slot.bundle.digest, files, 1)])
            while not (found := portions.results(0)):
                pass
            return found[0]

        run.env, run.slot = env, slot
        return run

    yield bench
    for slot in slots:
        slot.close()


GOOD = "def priority(x, n):\n    return x\n"


def test_scores_are_computed_again_from_the_solutions(bench):
    run = bench(descriptors={"length": [0, 10, 10], "score:2": [0, 20, 20]})
    seed, better = run(), run(GOOD)
    assert (seed.status, seed.verified, seed.fitness) == (Status.OK, True, (2 + 6 + 12) / 3)
    assert better.fitness == (2 + 6 + 16) / 3 == better.metrics["claimed"]
    assert better.scores == {"(3,)": 2.0, "(5,)": 6.0, "(8,)": 16.0}
    assert better.descriptor == ((2 + 3 + 4) / 3, 16.0)
    assert better.metrics["best"] == 1.0 and better.metrics["claimed extra"] == 1.0
    assert better.artifact == {
        "solutions": {"(3,)": [2, 0], "(5,)": [4, 2, 0], "(8,)": [7, 5, 3, 1]}
    }
    assert len(better.behaviour) == 32 and better.behaviour != seed.behaviour
    again = run("import math\n\ndef helper(x):\n    return math.exp(x)\n\n\n"
                "def priority(x, n):\n    return helper(x)\n")  # fmt: skip
    assert again.behaviour == better.behaviour


def test_portions_come_to_the_same_as_the_whole(bench):
    found = [bench(split=split, order=order)(GOOD)
             for split, order in ((1, "given"), (2, "size"), ("inputs", "given"))]  # fmt: skip
    for key in ("status", "fitness", "descriptor", "scores", "metrics", "behaviour", "artifact"):
        assert len({json.dumps(getattr(one, key), sort_keys=True) for one in found}) == 1, key


def test_scores_without_a_check_are_claims(bench):
    run = bench(CLAIMED, aggregate="weighted")
    assert (run().status, run().verified) == (Status.OK, False)
    assert run().fitness == pytest.approx((2 + 8 + 18) / 6)
    assert run().scores == {"1": 2.0, "2": 4.0, "3": 6.0}
    none = bench(CLAIMED.replace("n % 2", "None"))
    assert none().behaviour is None and run().behaviour is not None
    bare = bench(CLAIMED.replace("return priority(n), n % 2", "return priority(n)"))
    assert bare().fitness == 4.0


def test_numpy_may_be_used_and_may_be_returned(bench):
    pytest.importorskip("numpy")
    text = CHECKED.replace("import functools", "import functools\nimport numpy as np")
    text = text.replace("sum(chosen), ", "np.sum(chosen), ")
    text = text.replace('"solution": chosen', '"solution": np.array(chosen)')
    text = text.replace('{"score": sum(solution),', '{"score": np.int64(sum(solution)),')
    run = bench(text)
    assert "numpy" in run.slot.bundle.preload
    assert run("def priority(x, n):\n    return np.float64(x)\n").fitness == 8.0
    scalar = bench(CLAIMED.replace("return 2.0", "import numpy\n    return numpy.int32(2)"))
    assert scalar().fitness == 4.0


CHEATS = {
    "claims more": (
        "import specification\n"
        "def evaluate(params):\n"
        "    return {'score': 10**6, 'solution': [1]}\n"
        "specification.evaluate = evaluate\n" + GOOD,
        Status.OK,
        1.0,
    ),
    "another's solution": (
        "import specification\n"
        "specification.evaluate = lambda p: {'score': 1, 'solution': [7, 7, 7]}\n" + GOOD,
        Status.BAD_RESULT,
        None,
    ),
    "no solution": (
        "import specification\n"
        "specification.evaluate = lambda p: {'score': 10**6}\n" + GOOD,
        Status.RUNTIME_ERROR,
        None,
    ),
    "writes the artifact": (
        "import json\n"
        "json.dumps = lambda *a, **k: '{\"answers\": [{\"input\": 2, \"score\": 9.0,"
        " \"hash\": null, \"solution\": [7]}]}'\n" + GOOD,
        Status.BAD_RESULT,  # one input of three
        None,
    ),
    "looks for the check": (
        "import specification\n"
        "def priority(x, n):\n    return specification.check((n,), [x])['best']\n",
        Status.RUNTIME_ERROR,
        None,
    ),
    "looks for the answers": (
        "import gc\n"
        "def priority(x, n):\n"
        "    for one in gc.get_objects():\n"
        "        if isinstance(one, dict) and 'BEST' in one:\n"
        "            return one['BEST']\n"
        "    raise LookupError('nothing')\n",
        Status.RUNTIME_ERROR,
        None,
    ),
    "changes the inputs": (
        "import environments.specification.producer as p\n"
        "for one in p._loaded.values():\n    one.inputs[:] = [(3,)] * 3\n" + GOOD,
        Status.OK,
        (2 + 2 + 2) / 3,
    ),
}  # fmt: skip


def test_cheats_gain_nothing(bench):
    run = bench()
    for name, (program, status, fitness) in CHEATS.items():
        found = run(program)
        assert (found.status, found.fitness) == (status, fitness), (name, found.detail)
        assert run(GOOD).fitness == 8.0, name  # and nothing is left of them


ANSWER = {"input": 0, "score": 1.0, "hash": "a", "solution": [1]}


@pytest.mark.parametrize(
    "artifact",
    [
        None, [], {}, {"answers": []}, {"answers": {}}, {"answers": [None]},
        {"answers": [ANSWER] * 2}, {"answers": [ANSWER], "more": 1},
        *({"answers": [{**ANSWER, **wrong}]} for wrong in (
            {"input": 3}, {"input": -1}, {"input": "0"}, {"input": True}, {"input": 0.0},
            {"score": "9"}, {"score": None}, {"score": 10**400}, {"score": float("nan")},
            {"hash": 3}, {"hash": "x" * 2_000}, {"more": 1}, {"values": {"a": "b"}},
            {"values": [1]},
            {"solution": None}, {"solution": {}}, {"solution": [1, 1]}, {"solution": [[1]]},
            {"solution": [10**400]}, {"solution": "1"},
        )),
        {"answers": [{"input": 0, "error": "none"}]},
    ],
    ids=lambda artifact: repr(artifact)[:60],
)  # fmt: skip
def test_artifacts_that_are_none_are_bad(tmp_path, artifact):
    from environments.artifact import BadArtifact

    (tmp_path / "spec.py").write_text(CHECKED)
    settings = Specification(str(tmp_path / "spec.py")).judge_settings()
    assert judge({"answers": [ANSWER]}, settings)["scores"] == {"0": 1.0}
    with pytest.raises(BadArtifact) as error:
        judge(artifact, settings)
    assert 0 < len(str(error.value)) < 200


MISDEEDS = {
    "prints": ("print('much ' * 100)", Status.OK, ""),
    "prints without end": ("while True:\n        print('x' * 10_000)", Status.OUTPUT_LIMIT, ""),
    "hangs": ("while True:\n        pass", Status.TIMEOUT, "CPU"),
    "sleeps": ("import time\n    time.sleep(1000)", Status.TIMEOUT, "wall-clock"),
    "forks": ("import os\n    os.fork()", Status.VIOLATION, ""),
    "calls out": (
        "import socket\n    socket.create_connection(('127.0.0.1', 9))",
        Status.VIOLATION,
        "",
    ),
    "writes beside itself": (
        "import os\n    assert not os.path.exists('a')\n    open('a', 'w').write('b')",
        Status.OK,  # into a folder of its own, which is emptied
        "",
    ),
    "writes too much": ("open('a', 'w').write('b' * 10**7)", Status.RUNTIME_ERROR, "too large"),
    "hoards": ("x = bytearray(10**9)", Status.MEMORY, ""),
    "exits": ("raise SystemExit(3)", Status.RUNTIME_ERROR, "SystemExit"),
    "gives a text": ("return 'much', 1", Status.RUNTIME_ERROR, "'much', not a number"),
    "gives nothing": ("return", Status.RUNTIME_ERROR, "None, not a number"),
    "gives nan": ("return float('nan'), 1", Status.RUNTIME_ERROR, "not a finite number"),
    "gives a huge number": ("return 10 ** 400, 1", Status.RUNTIME_ERROR, "not a finite number"),
    "gives three": ("return 1, 2, 3", Status.RUNTIME_ERROR, "3 values, expected (score, hash)"),
    "gives an odd hash": ("return 1, [2]", Status.RUNTIME_ERROR, "hash is [2], not a text"),
    "gives no score": ("return {'hash': 1}", Status.RUNTIME_ERROR, "without 'score'"),
    "gives odd values": ("return {'score': 1, 'a': 'b'}", Status.RUNTIME_ERROR, "a is 'b'"),
    "gives a set": ("return {'score': 1, 'solution': {1}}", Status.RUNTIME_ERROR, "a set"),
}


def test_an_evaluator_that_misbehaves_is_a_counted_failure(bench):
    text = "INPUTS = [0]\n\ndef evaluate(n):\n    return DEEDS[priority(n)]()\n\n"
    text += "def priority(n):\n    return 0\n\n"
    for number, (statement, *_) in enumerate(MISDEEDS.values()):
        text += f"def deed_{number}():\n    {statement}\n    return 1.0, 1\n\n"
    names = ", ".join(f"deed_{number}" for number in range(len(MISDEEDS)))
    run = bench(f"{text}DEEDS = [{names}]\n")
    for number, (what, (_, status, detail)) in enumerate(MISDEEDS.items()):
        found = run(f"def priority(n):\n    return {number}\n")
        assert found.status == status and detail in found.detail, (what, found)
        assert (found.fitness is not None) == (status is Status.OK), what


def test_an_evaluator_cannot_write_elsewhere(bench):
    text = CLAIMED.replace(
        "    return priority", "    open('/usr/there', 'w')\n    return priority"
    )
    assert bench(text)().status in (Status.VIOLATION, Status.RUNTIME_ERROR)  # by what the jail has


def test_programs_that_are_none(bench):
    run = bench(CLAIMED)
    for program, told in [
        ("", "defines no function priority"),
        ("priority = 3\n", "defines no function priority"),
        ("def priority(:\n", "invalid syntax"),
        ("def priority(n):\n    return undefined\n", "NameError"),
        ("def priority(n):\n    return 1 / 0\n", "line 2 of priority.py"),
    ]:
        found = run(program)
        assert found.status is Status.RUNTIME_ERROR and told in found.detail, found.detail
    assert run().status is Status.OK
    typed = "def priority(n: List[Nothing]) -> Unknown:\n    return 1.0\n"
    assert run(typed).fitness == 1.0  # types are remarks
    marked = "import funsearch\n\n@funsearch.evolve()\ndef priority(n):\n    return 3.0\n"
    assert run(marked).fitness == 3.0


PICKY = "def priority(n):\n    if n == {n}:\n        {what}\n    return 2.0 * n\n"


def test_inputs_that_fail_by_policy(bench):
    hang, broken = PICKY.format(n=2, what="while True: pass"), PICKY.format(n=2, what="1 / 0")
    every = bench(CLAIMED)
    assert every(broken).status is Status.RUNTIME_ERROR
    skip, number = bench(CLAIMED, failures="skip"), bench(CLAIMED, failures=-5.0)
    assert skip(broken).fitness == 4.0 and number(broken).fitness == 1.0
    assert skip(hang).status is Status.TIMEOUT  # one execution
    apart = bench(CLAIMED, failures="skip", split="inputs")
    found = apart(hang)
    assert (found.status, found.fitness, found.metrics["failed_inputs"]) == (Status.OK, 4.0, 1.0)
    nothing = apart("def priority(n):\n    raise KeyError(n)\n")
    assert nothing.status is Status.RUNTIME_ERROR and "KeyError: 1" in nothing.detail


def test_a_judge_that_breaks_has_its_own_status(bench):
    broken = CHECKED.replace('raise ValueError("a number', 'raise KeyError("a number')
    run = bench(broken)
    program = (
        "import specification\n"
        "specification.evaluate = lambda p: {'score': 1, 'solution': [0, 0]}\n" + GOOD
    )
    assert run(program).status is Status.JUDGE_ERROR
    odd = bench(CHECKED.replace('"score": sum(solution), "length"', '"score": "x", "length"'))
    assert odd(GOOD).status is Status.JUDGE_ERROR and "not a finite number" in odd(GOOD).detail


def test_a_specification_that_does_not_load_or_prepare_says_where(bench):
    from sandbox.slot import SandboxError

    with pytest.raises(SandboxError, match=r"ZeroDivisionError.*spec\.py, line 6"):
        bench(CLAIMED.replace("def priority", "X = 1 / 0\n\ndef priority"))
    with pytest.raises(SandboxError, match=r"LookupError.*spec\.py, line 9"):
        bench(CLAIMED + "def prepare(params):\n    raise LookupError(params)\n")


def test_both_sides_work_without_being_prepared(tmp_path):
    (tmp_path / "spec.py").write_text(CHECKED)
    env = Specification(str(tmp_path / "spec.py"))
    made = produce({"priority.py": GOOD}, env.producer_settings())
    assert json.loads(json.dumps(made)) == made
    assert judge(made, env.judge_settings())["scores"] == {"0": 2.0, "1": 6.0, "2": 16.0}
    assert produce({"priority.py": GOOD}, {**env.producer_settings(), "portion": 0}) == made


def test_the_configuration_holds_every_setting_with_its_default():
    import inspect

    import yaml

    import configs

    folder = Path(next(iter(configs.__path__)))
    text = (folder / "environment" / "specification.yaml").read_text(encoding="utf-8")
    section = yaml.safe_load(text)["environment"]
    assert section.pop("name") == "specification"
    parameters = inspect.signature(Specification).parameters
    assert section == {name: parameter.default for name, parameter in parameters.items()}
