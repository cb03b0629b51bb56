"""Servers that join a run by themselves: enrolled keys only, and again after a resume."""

from __future__ import annotations

import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer
from test_local_fleet import FAKE_WORKER, HERE, bundle, collect, tasks, wait_until

import elm.dispatch
import elm.dispatch.fleet
from elm.dispatch.base import FleetError
from elm.dispatch.fleet import Fleet
from sandbox.keys import keep

MakeFleet = Callable[..., Fleet]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that was refused tries a new connection after its patience."""
    monkeypatch.setattr("sandbox.agent.FIRST_PATIENCE", 1.0)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """Folders `run`, `servers` with two pairs, and `enrolled` with the public half of one."""
    keep(tmp_path / "servers", "north")
    keep(tmp_path / "servers", "south")
    (tmp_path / "enrolled").mkdir()
    shutil.copy(tmp_path / "servers" / "north.key", tmp_path / "enrolled")
    return tmp_path


@pytest.fixture
def make_fleet(keys: Path) -> Iterator[MakeFleet]:
    made: list[Fleet] = []

    def make(listen: str = "tcp://127.0.0.1:*", **more: Any) -> Fleet:
        settings = {"heartbeat": 0.2, "patience": 1.0, "slots": 1} | more
        fleet = Fleet(
            listen=listen, keys=str(keys / "run"), enrolled=str(keys / "enrolled"), **settings
        )
        fleet.command = FAKE_WORKER
        fleet.announce = lambda line: None
        made.append(fleet)
        return fleet

    yield make
    for fleet in made:
        fleet.close()


@pytest.fixture
def servers(keys: Path) -> Iterator[dict[str, FakeServer]]:
    found = {name: FakeServer(name) for name in ("north", "south")}
    for name, server in found.items():
        server.keys = keep(keys / "servers", name)
    yield found
    for server in found.values():
        server.stop()


def test_a_server_joins_by_what_the_run_announces(
    make_fleet: MakeFleet, servers: dict[str, FakeServer]
) -> None:
    fleet = make_fleet()
    announced: list[str] = []
    fleet.announce = announced.append
    fleet.start(bundle())
    (line,) = announced
    assert line.startswith("sandboxes join with: python -m sandbox serve --join tcp://127.0.0.1:")
    words = shlex.split(line)
    address, key = words[words.index("--join") + 1], words[-1].removeprefix("--run-key=")
    assert (address, key) == (fleet.listening, fleet.public_key)
    servers["north"].join(address, key)
    wait_until(lambda: fleet.slots == 3)
    fleet.submit(tasks([f"sleep 0.02 {number}" for number in range(60)]))
    assert {each.node for each in collect(fleet, 60).values()} == {"local", "north"}
    assert line in fleet.notices()


def test_a_stranger_is_named_once_and_let_in_when_its_key_is_enrolled(
    make_fleet: MakeFleet, servers: dict[str, FakeServer], keys: Path
) -> None:
    fleet = make_fleet()
    fleet.start(bundle())
    south = servers["south"]
    worker = south.join(fleet.listening or "", fleet.public_key)
    told: list[str] = []

    def is_told() -> bool:
        told.extend(fleet.notices())
        return any(south.keys.public in line for line in told)

    wait_until(is_told)
    wait_until(lambda: "refuses this sandbox's key" in worker.trouble)
    (line,) = [line for line in told if south.keys.public in line]
    assert line.startswith("refused a sandbox with the key ")
    assert str(keys / "enrolled") in line
    assert fleet.slots == 1
    shutil.copy(keys / "servers" / "south.key", keys / "enrolled")
    wait_until(lambda: fleet.slots == 3)
    is_told()
    assert sum("refused a sandbox" in line for line in told) == 1


def test_a_file_that_is_no_key_lets_nobody_in_and_ends_nothing(
    make_fleet: MakeFleet, servers: dict[str, FakeServer], keys: Path
) -> None:
    fleet = make_fleet()
    fleet.start(bundle())
    (keys / "enrolled" / "broken.key").write_text("no key\n")
    servers["north"].join(fleet.listening or "", fleet.public_key)
    told: list[str] = []

    def is_told() -> bool:
        told.extend(fleet.notices())
        return any("nobody new can join: dispatch.enrolled: " in line for line in told)

    wait_until(is_told)
    assert any("broken.key" in line for line in told)
    fleet.submit(tasks(["1"]))
    assert collect(fleet, 1)[0].fitness == 1.0
    (keys / "enrolled" / "broken.key").unlink()
    wait_until(lambda: fleet.slots == 3)


def test_a_run_that_others_can_only_join_waits_for_them_and_says_so(
    make_fleet: MakeFleet, servers: dict[str, FakeServer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elm.dispatch.fleet, "WAITING_SECONDS", 0.2)
    fleet = make_fleet(slots=0, start_seconds=0.1)
    announced: list[str] = []
    fleet.announce = announced.append
    starting = threading.Thread(target=fleet.start, args=(bundle(),))
    starting.start()
    wait_until(lambda: len(announced) >= 3)
    assert all("no sandbox has joined at tcp://127.0.0.1:" in line for line in announced[1:])
    assert starting.is_alive()
    servers["north"].join(fleet.listening or "", fleet.public_key)
    starting.join(20)
    assert not starting.is_alive()
    assert fleet.slots >= 1


def test_servers_that_joined_are_there_again_after_kill_9(
    make_fleet: MakeFleet, servers: dict[str, FakeServer], keys: Path, tmp_path: Path
) -> None:
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, time\n"
        f"sys.path.insert(0, {str(HERE)!r})\n"
        "from test_local_fleet import Fleet, bundle, tasks, wait_until\n"
        f"fleet = Fleet(0, listen='tcp://127.0.0.1:*', keys={str(keys / 'run')!r}, "
        f"enrolled={str(keys / 'enrolled')!r}, heartbeat=0.2, patience=1.0)\n"
        "fleet.announce = lambda line: print(line, flush=True)\n"
        "fleet.start(bundle())\n"
        "fleet.submit(tasks([f'sleep 0.05 {n}' for n in range(200)]))\n"
        "wait_until(lambda: fleet.results(1))\n"
        "print('going', flush=True)\n"
        "time.sleep(60)\n"
    )
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert run.stdout is not None
    words = shlex.split(run.stdout.readline())
    address, key = words[words.index("--join") + 1], words[-1].removeprefix("--run-key=")
    worker = servers["north"].join(address, key)
    assert run.stdout.readline() == "going\n"
    run.send_signal(signal.SIGKILL)
    run.wait()
    resumed = make_fleet(listen=address, slots=0)
    resumed.start(bundle())  # with the same keys at the same address
    assert resumed.public_key == key
    resumed.submit(tasks([str(number) for number in range(30)]))
    found = collect(resumed, 30)
    assert all(found[number].fitness == number for number in range(30))
    assert not worker.ending  # the same worker, which never noticed more than a silence


def test_keys_are_kept_for_their_owner_alone(make_fleet: MakeFleet, keys: Path) -> None:
    first = make_fleet().public_key
    assert (keys / "run" / "run.key_secret").stat().st_mode & 0o777 == 0o600
    assert make_fleet().public_key == first
    (keys / "run" / "run.key_secret").chmod(0o644)
    with pytest.raises(ValueError, match=r"^dispatch\.keys: .*others may read"):
        make_fleet()


def test_an_address_that_is_taken_is_named(make_fleet: MakeFleet) -> None:
    first = make_fleet()
    first.start(bundle())
    second = make_fleet(listen=first.listening or "")
    with pytest.raises(
        FleetError, match=r"^dispatch\.listen: cannot listen at tcp://127"
    ) as caught:
        second.start(bundle())
    assert "Address already in use" in str(caught.value)
    unknown = make_fleet(listen="tcp://no-such-host.invalid:*")
    with pytest.raises(FleetError, match=r"^dispatch\.listen: tcp://no-such-host\.invalid"):
        unknown.start(bundle())
