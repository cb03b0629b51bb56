"""Scores that need a conversation, and scores that a program claims for itself."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import pytest
from slot_bench import LIMITS, descendants

from sandbox.protocol import Bundle, Code, Evaluation, Limits, Scoring, Status, Task
from sandbox.slot import Slot

# The program defines `priority(item, bin)`; the judge packs items with it.
HEURISTIC = """
def produce(files, settings):
    namespace = {}
    for name, text in files.items():
        exec(compile(text, name, "exec"), namespace)
    return namespace["priority"]
"""

PACKER = """
import time
from environments.artifact import BadArtifact

def judge(ask, settings):
    what = settings.get("what")
    if what == "raise": raise KeyError("missing")
    if what == "loop":
        while True: pass
    if what == "early": return {"fitness": 7.0, "descriptor": [0.0]}
    if what == "swallow":
        while True:
            try:
                ask([[1, 2]])
            except Exception:
                pass
    if what == "slow":
        ask([[1, 2]])
        time.sleep(0.8)
    total, choices = 0.0, []
    for step in range(settings.get("steps", 10)):
        answers = ask([[step, bin] for bin in range(settings.get("width", 5))])
        for answer in answers:
            if isinstance(answer, bool) or not isinstance(answer, (int, float)):
                raise BadArtifact(f"a priority is {type(answer).__name__}, not a number")
        best = max(range(len(answers)), key=answers.__getitem__)
        choices.append(best)
        total += best
    return {"fitness": total, "descriptor": [float(len(set(choices)))], "artifact": choices}
"""

CLAIMANT = """
def produce(files, settings):
    namespace = {}
    for name, text in files.items():
        exec(compile(text, name, "exec"), namespace)
    return namespace["main"]()
"""

RECOMPUTE = """
def judge(artifact, settings):
    return {"fitness": float(sum(artifact)), "descriptor": [0.0]}
"""

JUDGE_LIMITS = Limits(cpu_seconds=0.5, wall_seconds=1.5, memory_mb=256)


def bundle(scoring: Scoring, producer: str, judge: str | None, **settings: object) -> Bundle:
    from environments.base import read_modules

    artifact = read_modules(["environments.artifact"])
    return Bundle(
        environment="scored",
        producer=Code("t.producer", {"t.producer": producer}),
        judge=None if judge is None else Code("t.judge", {"t.judge": judge, **artifact}),
        scoring=scoring,
        judge_settings=settings,
        limits=LIMITS,
        judge_limits=JUDGE_LIMITS,
    )


@pytest.fixture
def evaluate(levels) -> Callable[..., Evaluation]:
    """Executes one program in a slot of its own at the best level; then nothing may be left."""
    slots = []

    def run(made: Bundle, source: str) -> Evaluation:
        slot = next((slot for slot in slots if slot.bundle is made), None)
        if slot is None:
            slot = Slot(made, level=levels[-1])
            slot.start()
            slots.append(slot)
        found = slot.evaluate(Task(1, made.digest, {"program.py": source}, 1))
        zygote = slot.pids.get("zygote")
        assert zygote is None or not descendants(zygote)
        return found

    run.slots = slots  # type: ignore[attr-defined]
    yield run
    for slot in slots:
        slot.close()


GOOD = "def priority(item, bin): return bin if item % 2 else -bin"


def talk(**settings: object) -> Bundle:
    return bundle(Scoring.CALLS, HEURISTIC, PACKER, **settings)


def test_a_judge_calls_a_program_as_it_goes(evaluate):
    made = talk()
    for _ in range(3):
        found = evaluate(made, GOOD)
        assert (found.status, found.fitness, found.verified) == (Status.OK, 20.0, True), found
        assert found.artifact == [0, 4] * 5
        assert found.descriptor == (2.0,)


def test_batches_larger_than_a_pipe_pass(evaluate):
    found = evaluate(talk(steps=3, width=40_000), "def priority(item, bin): return bin % 7")
    assert (found.status, found.fitness) == (Status.OK, 18.0), found.detail


@pytest.mark.parametrize(
    ("source", "status", "detail"),
    [
        ("def priority(item, bin): return item / 0", "runtime_error", "division by zero (line 1"),
        ("def priority(item): return 1", "runtime_error", "takes 1 positional argument"),
        ("def priority(item, bin): return 'x'", "bad_result", "a priority is str, not a number"),
        ("def priority(item, bin): return float('nan')", "runtime_error", "not JSON compliant"),
        ("def priority(item, bin): return 'x' * 200_000", "output_limit", "over 100000 bytes"),
        ("def priority(item, bin):\n    while True: pass", "timeout", "0.5 s of CPU"),
        ("import time\ndef priority(item, bin): time.sleep(60)", "timeout", "1.2 s of wall"),
        ("import os\ndef priority(item, bin): os._exit(0)", "runtime_error", "without a result"),
        ("import os\ndef priority(item, bin): os.abort()", "runtime_error", "SIGABRT"),
        ("def priority(item, bin): return bytearray(10**9)", "memory", "MemoryError"),
        ("priority = 5", "runtime_error", "not callable"),
        (
            "import os\ndef priority(item, bin): os.closerange(3, 99)",
            "runtime_error",
            "without a result",
        ),
        (
            "import os\nfor fd in range(3, 9):\n    try: os.write(fd, b'A1')\n"
            "    except OSError: pass\ndef priority(item, bin): return 1",
            "bad_result",
            "",
        ),
    ],
)
def test_a_program_that_does_not_answer(evaluate, source, status, detail):
    made = talk()
    found = evaluate(made, source)
    assert found.status == status, found
    assert detail in found.detail
    before = dict(evaluate.slots[0].pids)
    assert evaluate(made, GOOD).fitness == 20.0
    assert dict(evaluate.slots[0].pids) == before, "the judge outlives what a program does"


@pytest.mark.parametrize(
    ("what", "status", "detail"),
    [
        ("raise", "judge_error", "KeyError: 'missing'"),
        ("loop", "judge_error", "judge over 0.5 s of CPU"),
        ("early", "ok", ""),
    ],
)
def test_a_judge_that_does_not_play_its_part(evaluate, what, status, detail):
    made = talk(what=what)
    found = evaluate(made, GOOD)
    assert found.status == status, found
    assert detail in found.detail


def test_no_judge_survives_a_program_that_has_gone_by_ignoring_it(evaluate):
    found = evaluate(talk(what="swallow"), "import os\ndef priority(item, bin): os.abort()")
    assert found.status is Status.RUNTIME_ERROR, found


def test_time_of_the_judge_is_not_the_programs(evaluate):
    made = bundle(Scoring.CALLS, HEURISTIC, PACKER, what="slow", steps=1)
    patient = Limits(cpu_seconds=0.5, wall_seconds=0.5)
    made = Bundle(**{**{f: getattr(made, f) for f in made.__struct_fields__}, "limits": patient})
    assert evaluate(made, GOOD).status is Status.OK


def test_a_judge_killed_in_the_middle_costs_the_program_nothing(evaluate):
    made = talk(what="slow", steps=1)
    assert evaluate(made, GOOD).status is Status.OK
    pid = evaluate.slots[0].pids["judge"]
    timer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    timer.start()
    found = evaluate(made, GOOD)
    timer.join()
    assert (found.status, found.detail) == (Status.LOST, "the judge was killed from outside")
    assert evaluate(made, GOOD).status is Status.OK


CLAIM = "def main(): return {'artifact': [1, 2, 3], 'fitness': %s, 'descriptor': [0.5]}"


def test_a_claim_without_a_judge_is_unverified(evaluate):
    made = bundle(Scoring.INSIDE, CLAIMANT, None)
    found = evaluate(made, CLAIM % "1e6")
    assert (found.status, found.fitness, found.verified) == (Status.OK, 1e6, False)
    assert found.artifact == [1, 2, 3]
    assert set(evaluate.slots[0].pids) == {"zygote"}


def test_a_claim_is_computed_again_where_there_is_a_judge(evaluate):
    made = bundle(Scoring.INSIDE, CLAIMANT, RECOMPUTE)
    found = evaluate(made, CLAIM % "1e6")
    assert (found.status, found.fitness, found.verified) == (Status.OK, 6.0, True)
    assert found.metrics == {"claimed": 1e6}


@pytest.mark.parametrize(
    "source",
    [
        "def main(): return 5",
        "def main(): return {'fitness': 1}",
        "def main(): return {'fitness': 'high', 'descriptor': []}",
        "def main(): return {'fitness': True, 'descriptor': []}",
        "def main(): return {'fitness': 1, 'descriptor': [], 'verified': True}",
    ],
)
def test_a_claim_that_is_none_is_a_bad_result(evaluate, source):
    found = evaluate(bundle(Scoring.INSIDE, CLAIMANT, None), source)
    assert found.status is Status.BAD_RESULT, found


def test_only_a_claim_can_do_without_a_judge():
    with pytest.raises(ValueError, match="needs a judge"):
        bundle(Scoring.ARTIFACT, CLAIMANT, None)
