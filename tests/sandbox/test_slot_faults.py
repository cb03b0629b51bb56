"""The machinery breaks: what is lost is said to be lost, and the next evaluation works."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from slot_bench import Bench, descendants, make_bundle

from sandbox.protocol import Code, Status, Task
from sandbox.slot import SandboxError, Slot

SLEEP = "import time\ndef main():\n    time.sleep(1)\n    return 1"


def kill_soon(pid: int) -> threading.Timer:
    timer = threading.Timer(0.3, os.kill, (pid, signal.SIGKILL))
    timer.start()
    return timer


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def boxes(owner: int) -> set[Path]:
    """Folders of the slots of one process."""
    return set(Path("/dev/shm").glob(f"elm-slot-{owner}-*"))


@pytest.mark.parametrize("role", ["zygote", "judge"])
def test_killed_in_the_middle_is_lost_then_good(bench, role):
    source = SLEEP if role == "zygote" else "def main(): return {'judge': 'pause'}"
    before = bench.slot.pids
    timer = kill_soon(before[role])
    lost = bench.run(source)
    timer.join()
    assert lost.status is Status.LOST
    assert role in lost.detail
    bench.assert_fine()
    assert bench.slot.pids[role] != before[role]
    assert len(descendants(os.getpid())) == len(bench.at_rest)


@pytest.mark.parametrize("role", ["zygote", "judge"])
def test_killed_while_idle_loses_nothing(bench, role):
    os.kill(bench.slot.pids[role], signal.SIGKILL)
    time.sleep(0.05)
    bench.assert_fine()


def test_program_killed_from_outside_is_lost(bench):
    timer = threading.Timer(
        0.3, lambda: [os.kill(p, 9) for p in descendants(bench.slot.pids["zygote"])]
    )
    timer.start()
    found = bench.run(SLEEP)
    # At L1 the program may have killed itself, so it is executed once more: undisturbed, it ends.
    assert found.status is (Status.OK if bench.slot.level == "L1" else Status.LOST)
    bench.assert_fine()


def test_a_stopped_zygote_costs_nobody_their_verdict(bench):
    zygote = bench.slot.pids["zygote"]
    os.kill(zygote, signal.SIGSTOP)
    timer = threading.Timer(0.5, os.kill, (zygote, signal.SIGCONT))
    timer.start()
    bench.assert_fine()


@pytest.mark.parametrize(
    ("what", "status", "detail"),
    [
        ("nan", "judge_error", "fitness is nan"),
        ("raise", "judge_error", "KeyError: 'missing' (<bundle environments.number.judge>, line"),
        ("loop", "judge_error", "judge over 0.3 s of CPU"),
        ("sleep", "judge_error", "judge over 1 s"),
        ("hog", "judge_error", "MemoryError"),
        ("short", "judge_error", "expected fitness and descriptor"),
        ("huge", "judge_error", "bytes"),
        ("die", "judge_error", "judge ended with status 3"),
    ],
)
def test_judge_error(bench, what, status, detail):
    found = bench.run(f"def main(): return {{'judge': {what!r}}}")
    assert found.status == status
    assert detail in found.detail
    bench.assert_fine()


def test_judge_is_jailed(bench):
    if bench.slot.level == "L1":
        pytest.skip("L1 has no such walls")
    for what in ("write", "network"):
        found = bench.run(f"def main(): return {{'judge': {what!r}}}")
        assert found.status is Status.JUDGE_ERROR
        assert "Error" in found.detail
    assert not Path("/tmp/judge-was-here").exists()


def test_nothing_grows(bench):
    bench.assert_fine()
    files, resident = open_files(), memory_kb(bench)
    for number in range(300):
        assert bench.run(f"def main():\n    open('f', 'w')\n    return {number}").fitness == number
    assert open_files() == files
    assert memory_kb(bench) <= resident + 1024


def memory_kb(bench: Bench) -> int:
    total = 0
    for pid in bench.slot.pids.values():
        status = Path(f"/proc/{pid}/status").read_text()
        total += int(status.partition("VmRSS:")[2].split()[0])
    return total


def test_close_leaves_nothing(levels):
    for level in levels:
        processes, files = descendants(os.getpid()), open_files()
        slot = Slot(make_bundle(), level=level)
        slot.start()
        assert (
            slot.evaluate(
                Task(1, slot.bundle.digest, {"p.py": "def main():\n  open('x','w')\n  return 1"}, 1)
            ).status
            is Status.OK
        )
        slot.close()
        slot.close()
        assert descendants(os.getpid()) == processes
        assert open_files() == files
        assert not boxes(os.getpid())


def test_slots_of_several_threads(make_slot):
    slots = [make_slot() for _ in range(3)]
    wrong: list[object] = []

    def work(slot: Slot, base: int) -> None:
        slot.start()
        for number in range(base, base + 20):
            source = f"def main(): return {number}"
            found = slot.evaluate(Task(number, slot.bundle.digest, {"p.py": source}, 1))
            if (found.status, found.fitness) != (Status.OK, number):
                wrong.append(found)

    threads = [threading.Thread(target=work, args=(s, 100 * i)) for i, s in enumerate(slots)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_slot_dies_with_its_owner(levels):
    for level in levels:
        reading, writing = os.pipe()
        owner = os.fork()
        if owner == 0:
            try:  # whatever happens, this copy of the tests goes no further
                slot = Slot(make_bundle(), level=level)
                slot.start()
                os.write(writing, repr(slot.pids).encode())
                slot.evaluate(Task(1, slot.bundle.digest, {"p.py": SLEEP.replace("1)", "60)")}, 1))
            finally:
                os._exit(0)
        os.close(writing)
        pids = eval(os.read(reading, 10_000))
        os.close(reading)
        time.sleep(0.3)
        os.kill(owner, signal.SIGKILL)
        os.waitpid(owner, 0)
        deadline = time.monotonic() + 5
        while any(alive(pid) for pid in pids.values()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not any(alive(pid) for pid in pids.values())
        assert not boxes(owner)


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"  # a zombie waits for whoever inherited it


@pytest.mark.parametrize(
    ("side", "text", "message"),
    [
        ("judge", "import Box3D_missing", "judge of 'number' needs Box3D_missing: pip install"),
        ("producer", "x = 1 / 0", "producer of .number. does not import: ZeroDivisionError"),
        ("judge", "def judge(:", "judge of 'number' does not import: SyntaxError"),
        ("producer", "import environments.number.judge", "not in its bundle: add it to"),
    ],
)
def test_code_that_does_not_import_says_why(make_slot, side, text, message):
    slot = make_slot(**{side: Code("entry", {"entry": text})})
    with pytest.raises(SandboxError, match=message) as caught:
        slot.start()
    assert "\n" not in str(caught.value)


def test_wrong_bundle_and_unknown_level_are_refused(make_slot):
    with pytest.raises(ValueError, match="no jail level 'L9': expected auto, L1, L2, L3"):
        make_slot(level="L9")
    slot = make_slot()
    slot.start()
    with pytest.raises(SandboxError, match="task of bundle"):
        slot.evaluate(Task(1, "0" * 64, {"p.py": ""}, 1))


def test_parent_needs_nothing_from_its_environment(make_slot, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/nonexistent")
    monkeypatch.setenv("SECRET_TOKEN", "planted")
    slot = make_slot()
    slot.start()
    environ = Path(f"/proc/{slot.pids['zygote']}/environ").read_bytes()
    assert b"planted" not in environ
    assert sys.executable
