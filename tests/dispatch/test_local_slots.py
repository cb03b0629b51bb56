"""The local fleet with real slots: programs are executed, judged, and survive accidents."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_local_fleet import collect, is_alive, wait_until

import elm
from elm.dispatch.base import FleetError
from elm.dispatch.fleet import Fleet
from sandbox.protocol import Bundle, Code, Evaluation, Status, Task

PRODUCER = """
def produce(files, settings):
    scope = {}
    exec(files["main.py"], scope)
    return scope["answer"]()
"""
JUDGE = """
def judge(artifact, settings):
    return {"fitness": float(artifact), "descriptor": [artifact % 7.0]}
"""
BUNDLE = Bundle(
    environment="numbers",
    producer=Code("numbers_producer", {"numbers_producer": PRODUCER}),
    judge=Code("numbers_judge", {"numbers_judge": JUDGE}),
)


def tasks(count: int, seconds: float = 0.0) -> list[Task]:
    return [
        Task(
            number,
            BUNDLE.digest,
            {"main.py": f"import time\ntime.sleep({seconds})\ndef answer(): return {number} * 2"},
            seed=number,
        )
        for number in range(count)
    ]


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    dispatcher = Fleet(2)
    yield dispatcher
    dispatcher.close()


def pids_of_slots(fleet: Fleet) -> dict[str, int]:
    workers = fleet.status()["workers"]
    return workers[0]["pids"] if workers else {}


def check(found: dict[int, Evaluation], count: int) -> None:
    assert {number: each.fitness for number, each in found.items()} == {
        number: 2.0 * number for number in range(count)
    }


def test_programs_are_executed_and_judged(fleet: Fleet) -> None:
    fleet.start(BUNDLE)
    fleet.submit(tasks(200))
    found = collect(fleet, 200)
    check(found, 200)
    assert found[9].descriptor == (4.0,)
    assert {each.node for each in found.values()} == {"local"}
    assert {each.level for each in found.values()} == {fleet.level}
    wait_until(lambda: len(pids_of_slots(fleet)) == 4)
    pids = pids_of_slots(fleet)
    assert set(pids) == {"slot0.zygote", "slot0.judge", "slot1.zygote", "slot1.judge"}
    assert fleet.notices() == []
    fleet.close()
    wait_until(lambda: not any(map(is_alive, pids.values())), 5)


def test_a_killed_worker_loses_nothing_and_leaves_nothing(fleet: Fleet) -> None:
    fleet.start(BUNDLE)
    wait_until(lambda: len(pids_of_slots(fleet)) == 4)
    fleet.submit(tasks(60, seconds=0.02))
    time.sleep(0.2)
    worker, pids = fleet.worker_pid, pids_of_slots(fleet)
    assert worker is not None
    os.kill(worker, signal.SIGKILL)
    check(collect(fleet, 60), 60)
    wait_until(lambda: not any(map(is_alive, pids.values())), 5)


@pytest.mark.parametrize("role", ["zygote", "judge"])
def test_a_killed_part_of_a_slot_loses_nothing(fleet: Fleet, role: str) -> None:
    fleet.start(BUNDLE)
    wait_until(lambda: len(pids_of_slots(fleet)) == 4)
    fleet.submit(tasks(60, seconds=0.02))
    time.sleep(0.2)
    pids = pids_of_slots(fleet)
    os.kill(pids[f"slot1.{role}"], signal.SIGKILL)
    check(collect(fleet, 60), 60)
    wait_until(lambda: pids_of_slots(fleet).get(f"slot1.{role}", 0) != pids[f"slot1.{role}"])
    notices = fleet.notices()
    assert len(notices) >= 1
    assert all("slot 1 " in notice for notice in notices)


def test_a_stopped_worker_goes_on(fleet: Fleet) -> None:
    fleet.start(BUNDLE)
    fleet.submit(tasks(60, seconds=0.02))
    worker = fleet.worker_pid
    assert worker is not None
    os.kill(worker, signal.SIGSTOP)
    time.sleep(1)
    os.kill(worker, signal.SIGCONT)
    check(collect(fleet, 60), 60)


def test_close_ends_programs_that_run(fleet: Fleet) -> None:
    fleet.start(BUNDLE)
    wait_until(lambda: len(pids_of_slots(fleet)) == 4)
    fleet.submit(tasks(6, seconds=15.0))
    wait_until(lambda: fleet.status()["leased"] == 6)
    time.sleep(0.2)
    pids = [fleet.worker_pid or 0, *pids_of_slots(fleet).values()]
    started = time.monotonic()
    fleet.close()
    assert time.monotonic() - started < 4
    wait_until(lambda: not any(map(is_alive, pids)), 2)


def test_failing_programs_fail_by_themselves(fleet: Fleet) -> None:
    programs = ["def answer(): return 1 / 0", "import os, signal\nos.kill(os.getpid(), 9)", "x = ["]
    fleet.start(BUNDLE)
    fleet.submit(
        [Task(number, BUNDLE.digest, {"main.py": text}, 0) for number, text in enumerate(programs)]
    )
    statuses = [each.status for _, each in sorted(collect(fleet, 3).items())]
    assert not {Status.OK, Status.LOST, Status.POISON} & set(statuses)
    assert fleet.status()["counts"].get("requeued", 0) == 0


def test_a_bundle_that_does_not_import_is_one_clear_line(fleet: Fleet) -> None:
    broken = Bundle(
        environment="numbers",
        producer=Code("p", {"p": "import no_such_module\n" + PRODUCER}),
        judge=BUNDLE.judge,
    )
    with pytest.raises(FleetError) as caught:
        fleet.start(broken)
    assert "no_such_module" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_death_of_the_run_ends_worker_and_slots(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, time\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_local_slots import BUNDLE, Fleet, pids_of_slots, tasks, wait_until\n"
        "fleet = Fleet(2)\n"
        "fleet.start(BUNDLE)\n"
        "wait_until(lambda: len(pids_of_slots(fleet)) == 4)\n"
        "fleet.submit(tasks(50, seconds=1.0))\n"
        "print(fleet.worker_pid, *pids_of_slots(fleet).values(), flush=True)\n"
        "time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pids = [int(word) for word in run.stdout.readline().split()]
    assert len(pids) == 5
    assert all(map(is_alive, pids))
    run.kill()
    run.wait()
    wait_until(lambda: not any(map(is_alive, pids)), 8)


def test_the_summary_says_who_executed_how_much(tmp_path: Path) -> None:
    summary = elm.run(
        environment={"name": "string"},
        variation={"name": "syntax_tree"},
        dispatch={"name": "local", "slots": 2},
        budget={"evaluations": 20},
        run_dir=str(tmp_path),
        view="none",
        report=False,
    )
    assert summary["evaluations"] == 20
    assert summary["nodes"] == {"local": 20}
