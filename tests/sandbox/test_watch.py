"""The clocks of the watcher, and the verdicts that follow from what it saw."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from sandbox import verdict
from sandbox.protocol import Limits, Status
from sandbox.verdict import BadScore
from sandbox.watch import Outcome, Stopwatch

LIMITS = Limits(cpu_seconds=1.0, wall_seconds=0.3, memory_mb=100)


def child(code: str) -> subprocess.Popen:
    return subprocess.Popen([sys.executable, "-c", f"print(flush=True)\n{code}"], stdout=-1)


@pytest.fixture
def follow():
    running = []

    def start(code: str, limits: Limits) -> Stopwatch:
        process = child(code)
        process.stdout.readline()
        running.append(process)
        clock = Stopwatch(limits)
        clock.follow(process.pid)
        return clock

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdout.close()


def wait_for(clock: Stopwatch, seconds: float) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(clock.next_tick())
        if found := clock.verdict():
            return found
    return ""


def test_a_sleeper_runs_out_of_wall_clock_time(follow):
    assert wait_for(follow("import time; time.sleep(60)", LIMITS), 5) == "wall"


def test_a_busy_program_runs_out_of_cpu_time(follow):
    limits = Limits(cpu_seconds=0.2, wall_seconds=30)
    assert wait_for(follow("while True: pass", limits), 10) == "cpu"


def test_time_in_which_the_watcher_was_stopped_does_not_count(follow):
    clock = follow("import time; time.sleep(60)", LIMITS)
    clock.next_tick()
    time.sleep(1.0)  # as after SIGSTOP and SIGCONT, or on a machine that swaps
    assert clock.verdict() == ""


def test_time_spent_waiting_for_a_processor_does_not_count(follow):
    limits = Limits(cpu_seconds=30, wall_seconds=0.5)
    pinned = "import os; os.sched_setaffinity(0, {0})\nwhile True: pass"
    rivals = [child(pinned) for _ in range(9)]
    try:
        for rival in rivals:
            rival.stdout.readline()
        clock = follow(pinned, limits)
        # A tenth of a processor: after 0.5 s of its own it has waited nine times as long.
        assert wait_for(clock, 1.5) == ""
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()
            rival.stdout.close()


def outcome(**changes) -> Outcome:
    return Outcome(**({"document": bytearray(b"A1")} | changes))


@pytest.mark.parametrize(
    ("seen", "status"),
    [
        (outcome(), Status.OK),
        (outcome(broken="the zygote died"), Status.LOST),
        (outcome(killed="stalled", exit=-9), Status.LOST),
        (outcome(exit=-9), Status.LOST),
        (outcome(exit=-9, repeated=True), Status.RUNTIME_ERROR),
        (outcome(exit=-9, killed="wall"), Status.TIMEOUT),
        (outcome(exit=-9, killed="cpu", cpu_seconds=0.99), Status.TIMEOUT),
        (outcome(cpu_seconds=1.01), Status.TIMEOUT),  # finished, and nobody was quick enough
        (outcome(exit=-signal.SIGXCPU), Status.TIMEOUT),
        (outcome(exit=-9, killed="artifact"), Status.OUTPUT_LIMIT),
        (outcome(exit=-9, killed="printout"), Status.OUTPUT_LIMIT),
        (outcome(exit=-9, killed="files"), Status.OUTPUT_LIMIT),
        (outcome(exit=-signal.SIGSYS), Status.VIOLATION),
        (outcome(exit=-signal.SIGSEGV), Status.RUNTIME_ERROR),
        (outcome(exit=-signal.SIGSEGV, peak_mb=95), Status.MEMORY),
        (outcome(exit=-40), Status.RUNTIME_ERROR),
        (outcome(document=bytearray()), Status.RUNTIME_ERROR),
        (outcome(document=bytearray(b"B1")), Status.BAD_RESULT),
        (outcome(document=bytearray(b"E[]")), Status.RUNTIME_ERROR),
        (outcome(document=bytearray(b'E{"type":7,"line":{}}')), Status.RUNTIME_ERROR),
        (outcome(document=bytearray(b'E{"memory":true}')), Status.MEMORY),
    ],
)
def test_verdict(seen, status):
    found = verdict.of(seen, LIMITS, jailed=True)
    assert found.status is status
    assert (found.detail == "") == (status is Status.OK)


def test_refusals_are_violations_only_where_a_jail_refuses():
    seen = outcome(document=bytearray(b'E{"type":"PermissionError","denied":true}'))
    assert verdict.of(seen, LIMITS, jailed=True).status is Status.VIOLATION
    assert verdict.of(seen, LIMITS, jailed=False).status is Status.RUNTIME_ERROR


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (None, "expected a mapping, got NoneType"),
        ({"fitness": 1.0}, "expected fitness and descriptor"),
        ({"fitness": 1.0, "descriptor": [], "fitnes": 2}, "expected fitness and descriptor"),
        ({"fitness": "1", "descriptor": []}, 'fitness is "1", not a number'),
        ({"fitness": True, "descriptor": []}, "fitness is true, not a number"),
        ({"fitness": 10**400, "descriptor": []}, "fitness is inf"),
        ({"fitness": 1, "descriptor": 2}, "descriptor is 2, not a list"),
        ({"fitness": 1, "descriptor": [float("nan")]}, "descriptor is nan"),
        ({"fitness": 1, "descriptor": [], "metrics": {"a": None}}, "metrics.a is null"),
        ({"fitness": 1, "descriptor": [], "metrics": []}, "metrics is not a mapping"),
        ({"fitness": 1, "descriptor": [], "behaviour": 3}, "behaviour is not a string"),
    ],
)
def test_scores_that_are_none(answer, message):
    with pytest.raises(BadScore, match=message):
        verdict.score(answer)


def test_score_in_full():
    answer = {
        "fitness": 1,
        "descriptor": [1, 2.5],
        "metrics": {"a": 3},
        "scores": {"first": 0.5},
        "behaviour": "abc",
    }
    found = verdict.score(answer)
    assert found["fitness"] == 1.0
    assert found["descriptor"] == (1.0, 2.5)
    assert (found["metrics"], found["scores"]) == ({"a": 3.0}, {"first": 0.5})
    assert found["behaviour"] == "abc"
