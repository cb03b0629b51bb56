"""Machines that refuse a part of the jail, or are too busy: nobody's program is blamed for that."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import msgspec
import pytest
from slot_bench import JUDGE_LIMITS, Bench, descendants

from sandbox import watch
from sandbox.protocol import Status

ROOT = Path(__file__).resolve().parents[2]

# A system call filter that refuses user namespaces, as containers do: inherited by all children.
NO_NAMESPACES = """
import struct, sys
from sandbox.kernel import seccomp, syscalls
machine = syscalls.architecture()
allow, refuse = (6, 0, 0, seccomp.ALLOW), (6, 0, 0, seccomp.fail(1))
program = [(0x20, 0, 0, 0), (0x15, 0, 3, machine.numbers["unshare"]), (0x20, 0, 0, 16),
           (0x45, 0, 1, 0x10000000), refuse, allow]
syscalls.prctl(syscalls.PR_SET_NO_NEW_PRIVS, 1)
seccomp.install(b"".join(struct.pack("=HBBI", *line) for line in program))
"""

EVALUATE = """
import json
from slot_bench import make_bundle
from sandbox.protocol import Task
from sandbox.slot import SandboxError, Slot
answers = []
for level in ("auto", "L3"):
    slot = Slot(make_bundle(), level=level)
    try:
        slot.start()
        found = slot.evaluate(Task(1, slot.bundle.digest, {"p.py": "def main(): return 7"}, 1))
        answers.append([slot.level, found.level, str(found.status), found.fitness])
    except SandboxError as error:
        answers.append(str(error))
    slot.close()
print(json.dumps(answers))
"""


def python(code: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{Path(__file__).parent}"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_auto_falls_back_where_namespaces_are_refused(levels):
    if "L2" not in levels:
        pytest.skip("no L2 on this machine")
    done = python(NO_NAMESPACES + EVALUATE)
    assert done.returncode == 0, done.stderr
    fallen, strict = json.loads(done.stdout)
    assert fallen == ["L2", "L2", "ok", 7.0]
    assert "no jail of level L3 on this machine" in strict
    assert "EPERM" in strict


def test_the_doctor_says_so(levels):
    if "L2" not in levels:
        pytest.skip("no L2 on this machine")
    done = python(
        NO_NAMESPACES + "sys.argv = ['sandbox', 'doctor', '--json']\n"
        "import runpy; runpy.run_module('sandbox', run_name='__main__')"
    )
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert report["level"] == "L2"
    assert not report["primitives"]["namespaces"]["works"]
    assert any("user.max_user_namespaces" in line for line in report["advice"])


def starve(monkeypatch) -> None:
    """Let the clock see a program that has waited for a processor all the time."""
    monkeypatch.setattr(watch.Stopwatch, "_waited", lambda self: self._wall)


def test_a_machine_too_busy_to_execute_is_not_the_programs_fault(make_slot, monkeypatch):
    bench = Bench(make_slot())
    with monkeypatch.context() as patch:
        starve(patch)
        patch.setattr(watch, "_STARVED_FACTOR", 1.5)
        found = bench.run("import time\ndef main(): time.sleep(60)")
    assert found.status is Status.LOST
    assert "too busy" in found.detail
    assert bench.slot.blameless
    bench.assert_fine()
    assert not bench.slot.blameless


def test_a_machine_too_busy_to_judge_is_not_the_programs_fault(make_slot, monkeypatch):
    limits = msgspec.structs.replace(JUDGE_LIMITS, wall_seconds=0.3)
    bench = Bench(make_slot(judge_limits=limits))
    with monkeypatch.context() as patch:
        starve(patch)
        patch.setattr(watch, "_STARVED_FACTOR", 1.5)
        found = bench.run("def main(): return {'judge': 'sleep'}")
    assert found.status is Status.LOST
    assert "too busy to judge" in found.detail
    assert bench.slot.blameless
    bench.assert_fine()


@pytest.mark.parametrize("whom", ["zygote", "judge", "program"])
def test_a_death_by_sigkill_may_be_the_programs_fault(make_slot, whom):
    # The machine's memory killer takes whom it likes, not who filled the memory.
    bench = Bench(make_slot())
    source = "import time\ndef main():\n    time.sleep(1)\n    return 1"
    if whom == "judge":
        source = "def main(): return {'judge': 'pause'}"

    def kill() -> None:
        pids = bench.slot.pids
        victims = descendants(pids["zygote"]) if whom == "program" else {pids[whom]}
        for pid in victims:
            os.kill(pid, signal.SIGKILL)

    timer = threading.Timer(0.3, kill)
    timer.start()
    found = bench.run(source)
    timer.join()
    assert found.status is Status.LOST
    assert not bench.slot.blameless
    bench.assert_fine()


def test_a_slot_that_cannot_start_again_blames_nobody(make_slot, monkeypatch):
    slot = make_slot()
    bench = Bench(slot)
    os.kill(slot.pids["zygote"], signal.SIGKILL)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        while slot.pids and slot._zygote.is_alive():
            pass
        found = bench.run("def main(): return 1")
    assert found.status is Status.LOST
    assert slot.blameless
    bench.assert_fine()
