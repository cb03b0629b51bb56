"""The local fleet with real processes: what a worker may see, and what is left when things die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
import zmq
from waiting import is_alive, wait_until

import elm.dispatch
from elm.dispatch.base import FleetError
from elm.dispatch.fleet import Fleet
from sandbox.protocol import Bundle, Code, Evaluation, Status, Task

HERE = Path(__file__).parent
FAKE_WORKER = [sys.executable, "-P", str(HERE / "fake_worker.py")]


def bundle(environment: str = "fine") -> Bundle:
    return Bundle(
        environment=environment, producer=Code("p", {"p": ""}), judge=Code("j", {"j": ""})
    )


def tasks(programs: list[str], first: int = 0) -> list[Task]:
    digest = bundle().digest
    return [
        Task(first + number, digest, {"main.py": text}, seed=0)
        for number, text in enumerate(programs)
    ]


def collect(fleet: Fleet, count: int, seconds: float = 60.0) -> dict[int, Evaluation]:
    """Waits for that many evaluations, and for a moment longer: none may come twice."""
    found: dict[int, Evaluation] = {}
    end = time.monotonic() + seconds
    while len(found) < count:
        assert time.monotonic() < end, f"{len(found)} of {count}: {fleet.status()}"
        for evaluation in fleet.results(0.5):
            assert evaluation.candidate not in found
            found[evaluation.candidate] = evaluation
            fleet.acknowledge([evaluation.candidate])
    assert fleet.results(0.2) == []
    return found


def is_replaced(fleet: Fleet, pid: int) -> bool:
    return fleet.worker_pid not in (pid, None)


@pytest.fixture
def fleet() -> Iterator[Fleet]:
    dispatcher = Fleet(2, heartbeat=0.2, patience=1.0)
    dispatcher.command = FAKE_WORKER
    yield dispatcher
    dispatcher.close()


def test_every_task_comes_home_with_its_result(fleet: Fleet) -> None:
    fleet.start(bundle())
    fleet.submit(tasks([str(number) for number in range(300)]))
    found = collect(fleet, 300)
    assert {number: each.fitness for number, each in found.items()} == {
        number: float(number) for number in range(300)
    }
    assert fleet.level == "L2"
    wait_until(lambda: fleet.slots == 2)
    assert fleet.status()["counts"]["parcels"] == 1
    assert fleet.status()["delivered"] == 0


def test_the_worker_sees_no_key_of_the_run(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    fleet.start(bundle())
    fleet.submit(tasks(["1"]))
    seen = collect(fleet, 1)[0].artifact["environment"]
    assert set(seen) <= {
        "PATH",
        "PYTHONPATH",
        "LD_LIBRARY_PATH",
        "PYTHONHOME",
        "TMPDIR",
        "LC_CTYPE",
    }
    pid = fleet.worker_pid
    assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert os.getsid(pid or 0) == pid  # Ctrl-C at the terminal does not reach it


def test_a_killed_worker_is_replaced_and_nothing_is_lost(fleet: Fleet) -> None:
    fleet.start(bundle())
    fleet.submit(tasks([f"sleep 0.02 {number}" for number in range(150)]))
    found: dict[int, Evaluation] = {}
    for _ in range(3):
        found |= {each.candidate: each for each in fleet.results(5)}
        pid = fleet.worker_pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        wait_until(partial(is_replaced, fleet, pid))
    found |= collect(fleet, 150 - len(found))
    assert {number: each.fitness for number, each in found.items()} == {
        number: float(number) for number in range(150)
    }
    notices = fleet.notices()
    assert sum("ended with SIGKILL" in notice for notice in notices) == 3
    assert "sandbox local is up, level L2" in notices


def test_a_worker_that_stops_for_a_moment_goes_on(fleet: Fleet) -> None:
    fleet.start(bundle())
    fleet.submit(tasks([f"sleep 0.02 {number}" for number in range(60)]))
    pid = fleet.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    time.sleep(0.5)
    os.kill(pid, signal.SIGCONT)
    assert len(collect(fleet, 60)) == 60
    assert fleet.worker_pid == pid
    assert fleet.status()["counts"].get("workers_lost", 0) == 0


def test_a_worker_that_is_terminated_finishes_what_it_runs(fleet: Fleet) -> None:
    fleet.start(bundle())
    wait_until(lambda: fleet.slots == 2)
    fleet.submit(tasks([f"sleep 0.2 {number}" for number in range(8)]))
    wait_until(lambda: fleet.status()["leased"])
    pid = fleet.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGINT)
    assert len(collect(fleet, 8)) == 8
    assert fleet.worker_pid != pid
    notices = fleet.notices()
    assert "sandbox local left: drained" in notices
    assert "worker process ended with exit status 0" in notices
    assert fleet.status()["counts"].get("workers_lost", 0) == 0


def test_late_results_of_a_worker_that_was_given_up_are_dropped(fleet: Fleet) -> None:
    fleet.start(bundle())
    fleet.submit(tasks([f"sleep 0.02 {number}" for number in range(60)]))
    pid = fleet.worker_pid
    assert pid is not None
    time.sleep(0.1)
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: fleet.status()["counts"].get("workers_lost"))
    os.kill(pid, signal.SIGCONT)
    found = collect(fleet, 60)
    assert all(each.fitness == number for number, each in found.items())
    assert fleet.status()["counts"]["stale"] > 0


def test_a_worker_that_stops_for_good_is_replaced(fleet: Fleet) -> None:
    fleet.start(bundle())
    fleet.submit(tasks([f"sleep 0.02 {number}" for number in range(60)]))
    pid = fleet.worker_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    assert len(collect(fleet, 60)) == 60
    assert fleet.worker_pid != pid
    assert not is_alive(pid)


def test_a_program_that_kills_its_worker_is_poison_and_nobody_else_is(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("elm.dispatch.process.LONGEST_PAUSE", 0.1)
    fleet.start(bundle())
    fleet.submit(tasks([*map(str, range(10)), "kill", *map(str, range(11, 40))]))
    found = collect(fleet, 40)
    poison = [number for number, each in found.items() if each.status is Status.POISON]
    assert poison == [10]
    assert "took its sandbox down 3 times" in found[10].detail
    assert all(each.status is Status.OK for each in found.values() if each.candidate != 10)


def test_a_program_that_breaks_its_slot_is_poison(fleet: Fleet) -> None:
    fleet.start(bundle())
    fleet.submit(tasks(["0", "lost", "2"]))
    found = collect(fleet, 3)
    assert [found[number].status for number in range(3)] == [Status.OK, Status.POISON, Status.OK]
    assert "no zygote" in found[1].detail
    assert any("lost a program: no zygote" in notice for notice in fleet.notices())


def test_a_bundle_that_does_not_load_is_one_clear_line(fleet: Fleet) -> None:
    with pytest.raises(FleetError) as caught:
        fleet.start(bundle("broken"))
    assert str(caught.value) == ("no sandbox can be started: the module 'Box2D' is not installed")
    assert fleet.worker_pid is None


def test_a_worker_that_cannot_start_is_one_clear_line(fleet: Fleet) -> None:
    fleet.command = [sys.executable, "-c", "import sys; sys.exit('no such thing as a sandbox')"]
    with pytest.raises(FleetError, match=r"can be started: no such thing as a sandbox$"):
        fleet.start(bundle())


def test_a_worker_that_never_says_anything_is_one_clear_line() -> None:
    fleet = Fleet(1, start_seconds=0.5)
    fleet.command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(FleetError, match=r"nothing came up within 0\.5 s"):
        fleet.start(bundle())
    assert fleet.worker_pid is None


def test_close_leaves_nothing_even_while_programs_run(fleet: Fleet) -> None:
    fleet.start(bundle())
    fleet.submit(tasks(["sleep 30 1", "sleep 30 2", "3"]))
    wait_until(lambda: fleet.status()["leased"] >= 2)
    pid, folder = fleet.worker_pid, fleet._folder
    assert pid is not None
    assert folder is not None
    assert folder.stat().st_mode & 0o777 == 0o700
    started = time.monotonic()
    fleet.close()
    assert time.monotonic() - started < 8
    assert not is_alive(pid)
    assert not folder.exists()
    fleet.close()


def test_garbage_on_the_socket_is_counted_and_harms_nobody(fleet: Fleet) -> None:
    fleet.start(bundle())
    with zmq.Context() as context, context.socket(zmq.DEALER) as stranger:
        stranger.connect(f"ipc://{fleet._folder}/fleet")
        stranger.send_multipart([b"\xff\xfe", b"", b"\x91\xa5Hello"])
        stranger.setsockopt(zmq.LINGER, 500)
        wait_until(lambda: fleet.status()["malformed"] == 3)
    fleet.submit(tasks(["7"]))
    assert collect(fleet, 1)[0].fitness == 7.0


def test_the_death_of_the_run_ends_the_worker(tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, time\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from test_local_fleet import FAKE_WORKER, Fleet, bundle, tasks\n"
        "fleet = Fleet(2)\n"
        "fleet.command = FAKE_WORKER\n"
        "fleet.start(bundle())\n"
        "fleet.submit(tasks(['sleep 60 1'] * 9))\n"
        "print(fleet.worker_pid, fleet._folder, flush=True)\n"
        "time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    words = run.stdout.readline().split()
    pid, folder = int(words[0]), Path(words[1])
    assert is_alive(pid)
    assert folder.is_dir()
    run.kill()
    run.wait()
    wait_until(lambda: not is_alive(pid), 8)
    assert not folder.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"slots": -1},
            "dispatch.slots must be a whole number, 0 for none here, or 'auto', got -1",
        ),
        (
            {"slots": "many"},
            "dispatch.slots must be a whole number, 0 for none here, or 'auto', got many",
        ),
        ({"level": "L9"}, "dispatch.level must be one of auto, L3, L2, L1, got 'L9'"),
        ({"max_tries": 0}, "dispatch.max_tries must be a whole number above 0, got 0"),
        ({"heartbeat": 0.0}, "dispatch.heartbeat must be above 0 seconds, got 0.0"),
        ({"patience": 1.0}, "dispatch.patience must be at least two heartbeats (2 s), got 1"),
        ({"slot": 2}, "dispatch.slot: unknown setting of 'local'"),
        ({"name": "clay"}, "dispatch.name: unknown 'clay', known: local"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        elm.dispatch.build({"name": "local"} | settings)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_fleet_that_was_not_started_says_so(fleet: Fleet) -> None:
    with pytest.raises(FleetError, match="was not started"):
        fleet.submit([])
    assert (fleet.slots, fleet.level) == (0, "")
