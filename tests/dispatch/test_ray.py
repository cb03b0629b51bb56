"""The Ray dispatcher: the suite that all dispatchers pass, real slots, and what Ray must not do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conformance import BUNDLE, DispatcherConformance, collect, is_alive, tasks, wait_until

from elm.dispatch.base import FleetError
from elm.dispatch.ray import RayDispatcher
from sandbox.protocol import Status, Task

HERE = Path(__file__).parent


def test_without_the_package_one_line_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    fleet = RayDispatcher(1)
    with pytest.raises(FleetError) as caught:
        fleet.start(BUNDLE)
    assert str(caught.value) == "dispatch=ray needs the package 'ray': pip install 'elm[ray]'"
    fleet.close()


def test_an_address_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match=r"^dispatch\.address must be host:port"):
        RayDispatcher(1, address=" ")


def needs_ray() -> Any:
    return pytest.importorskip("ray")


@pytest.fixture(scope="class")
def cluster() -> Iterator[None]:
    """One Ray for several fleets, which is what a process that is connected already has."""
    ray = needs_ray()
    before = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{HERE}{os.pathsep}{HERE.parent.parent}{os.pathsep}{before}"
    ray.init(
        address="local",
        num_cpus=2,
        num_gpus=0,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        object_store_memory=100 * 1024**2,
        _node_ip_address="127.0.0.1",
    )
    yield
    ray.shutdown()
    os.environ["PYTHONPATH"] = before


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
class TestRay(DispatcherConformance):
    def make(self, **settings: Any) -> RayDispatcher:
        dispatcher = RayDispatcher(**{"slots": 2} | settings)
        dispatcher.slot = "conformance:AccidentSlot"
        return dispatcher

    def worker_pids(self, dispatcher: RayDispatcher) -> list[int]:
        return dispatcher.worker_pids

    def test_a_defect_of_a_slot_accuses_nobody_and_the_slot_comes_back(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        wait_until(lambda: fleet.slots == 2)
        fleet.submit(tasks(["raise", "1", "2"]))
        done: set[int] = set()
        while len(done) < 2:
            done |= {each.candidate for each in fleet.results(60)}
        assert done == {1, 2}
        lines: list[str] = []

        def again() -> bool:
            lines.extend(fleet.notices())
            return sum("is up again" in line for line in lines) >= 4

        wait_until(again)  # more often than `max_tries`
        assert fleet.results(0.1) == []
        assert any("is down: slot is broken" in line for line in lines)

    def test_an_actor_that_is_stuck_is_replaced(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        wait_until(lambda: fleet.slots == 2)
        fleet._longest = 1.0
        fleet.submit(tasks(["sleep 0.1 1", "2", "sleep 0.1 3"]))
        pids = fleet.worker_pids
        os.kill(pids[0], signal.SIGSTOP)
        assert len(collect(fleet, 3)) == 3
        wait_until(lambda: not is_alive(pids[0]))

    def test_a_connection_that_was_there_stays(self, fleet: Any) -> None:
        fleet.start(BUNDLE)
        fleet.close()
        assert needs_ray().is_initialized()


@pytest.mark.slow
def test_real_slots_in_a_ray_of_its_own_which_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from test_local_slots import BUNDLE as NUMBERS
    from test_local_slots import tasks as programs

    needs_ray()
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    before = children()
    fleet = RayDispatcher(2)
    try:
        fleet.start(NUMBERS)
        assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers
        assert os.environ["OPENAI_API_KEY"] == "secret"
        fleet.submit(programs(60))
        failing = Task(60, NUMBERS.digest, {"main.py": "def answer(): return 1 / 0"}, 0)
        fleet.submit([failing])
        found = collect(fleet, 61)
        assert found.pop(60).status is Status.RUNTIME_ERROR
        assert {n: each.fitness for n, each in found.items()} == {n: 2.0 * n for n in range(60)}
        assert {each.level for each in found.values()} == {fleet.level}
        assert {each.node for each in found.values()} == {os.uname().nodename}
        wait_until(lambda: fleet.slots == 2)
        for pid in fleet.worker_pids:
            assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        started = children() - before
        assert started
        folder = fleet._folder
    finally:
        fleet.close()
    wait_until(lambda: not any(map(is_alive, started)))
    assert folder is not None
    assert not folder.exists()


def children(root: int = os.getpid()) -> set[int]:
    """All processes below one."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents.setdefault(int(words[1]), []).append(int(entry.name))
    found, waiting = set(), [root]
    while waiting:
        below = parents.get(waiting.pop(), [])
        found |= set(below)
        waiting += below
    return found


@pytest.mark.slow
def test_the_death_of_the_run_ends_actors_and_slots(tmp_path: Path) -> None:
    needs_ray()
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, time\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from test_local_slots import BUNDLE, tasks\n"
        "from test_ray import RayDispatcher, children\n"
        "fleet = RayDispatcher(2)\n"
        "fleet.start(BUNDLE)\n"
        "fleet.submit(tasks(50, seconds=1.0))\n"
        "time.sleep(1)\n"
        "actors = fleet.worker_pids\n"
        "print(*actors, *(pid for actor in actors for pid in children(actor)), flush=True)\n"
        "time.sleep(600)\n"
    )
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    pids = [int(word) for word in run.stdout.readline().split()]
    assert len(pids) >= 6  # two actors with a zygote and a judge each
    run.kill()
    run.wait()
    wait_until(lambda: not any(map(is_alive, pids)))


@pytest.mark.slow
def test_ctrl_c_reaches_the_run_and_not_its_slots(tmp_path: Path) -> None:
    needs_ray()
    script = tmp_path / "run.py"
    script.write_text(
        "import os, signal, sys, time\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from test_local_slots import BUNDLE, tasks\n"
        "from test_ray import RayDispatcher\n"
        "fleet = RayDispatcher(2)\n"
        "fleet.start(BUNDLE)\n"
        "caught = []\n"
        "signal.signal(signal.SIGINT, lambda *_: caught.append(1))\n"
        "fleet.submit(tasks(20, seconds=0.1))\n"
        "time.sleep(0.5)\n"
        "pids = fleet.worker_pids\n"
        "print('ready', flush=True)\n"
        "found = []\n"
        "while len(found) < 20 or not caught: found += fleet.results(1)\n"
        "time.sleep(0.5)\n"
        "assert fleet.worker_pids == pids, fleet.notices()\n"
        "fleet.close()\n"
        "print(len(found), caught)\n"
    )
    run = subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "ready\n"
    time.sleep(0.2)
    os.killpg(run.pid, signal.SIGINT)  # as the terminal does
    output, errors = run.communicate(timeout=120)
    assert output == "20 [1]\n", errors
    assert run.returncode == 0
