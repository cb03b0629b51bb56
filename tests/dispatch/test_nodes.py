"""Nodes that come by a command or a scheduler, and the scaler that asks for them."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import is_alive, wait_until

from elm.dispatch.nodes import CommandNodes, NodeScaler
from elm.dispatch.scaling import Reading, SlotRule

JOIN, KEY = "tcp://192.0.2.1:5555", "public-key-of-the-run"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., CommandNodes]]:
    made: list[CommandNodes] = []

    def make(start: str, stop: str | None = None, **settings: Any) -> CommandNodes:
        made.append(CommandNodes(start, stop, join=JOIN, run_key=KEY, **settings))
        return made[-1]

    yield make
    for nodes in made:
        nodes.close()


def said(nodes: Any, lines: list[str], part: str) -> bool:
    lines += nodes.notices()
    return any(part in line for line in lines)


def pid_in(file: Path) -> int:
    wait_until(lambda: file.exists() and file.read_text().endswith("\n"))
    return int(file.read_text().split()[0])


def test_a_command_sees_where_to_join_and_no_key_of_the_user(
    make: Callable[..., CommandNodes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/agent")
    nodes = make(f"env > {tmp_path}/$ELM_NODE; mv {tmp_path}/$ELM_NODE {tmp_path}/done")
    first = nodes.start()
    wait_until((tmp_path / "done").exists)
    seen = dict(line.split("=", 1) for line in (tmp_path / "done").read_text().splitlines())
    assert (seen["ELM_NODE"], seen["ELM_JOIN"], seen["ELM_RUN_KEY"]) == (first, JOIN, KEY)
    assert seen["PATH"] == os.environ["PATH"]
    assert not {"OPENAI_API_KEY", "SSH_AUTH_SOCK"} & set(seen)
    (tmp_path / "done").unlink()
    make(f"printenv SSH_AUTH_SOCK > {tmp_path}/kept", keep=["SSH_AUTH_SOCK"]).start()
    wait_until(lambda: (tmp_path / "kept").exists() and (tmp_path / "kept").read_text())
    assert (tmp_path / "kept").read_text() == "/agent\n"


def test_a_command_that_goes_on_is_the_node_and_is_ended_with_its_children(
    make: Callable[..., CommandNodes], tmp_path: Path
) -> None:
    nodes = make(f"sleep 600 & echo $! > {tmp_path}/pid; wait")
    name = nodes.start()
    child = pid_in(tmp_path / "pid")
    assert nodes.alive() == [name]
    nodes.stop(name)
    assert nodes.alive() == []
    wait_until(lambda: not is_alive(child))
    nodes.stop(name)  # not known any more
    assert nodes.notices() == []


def test_a_node_that_does_not_listen_is_killed(
    make: Callable[..., CommandNodes], tmp_path: Path
) -> None:
    nodes = make(
        f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 0.1; done", stop_seconds=0.3
    )
    nodes.start()
    shell = pid_in(tmp_path / "pid")
    nodes.close()
    assert not is_alive(shell)


def test_a_command_that_ends_well_has_asked_for_a_node(
    make: Callable[..., CommandNodes], tmp_path: Path
) -> None:
    nodes = make(f"touch {tmp_path}/$ELM_NODE", f"rm {tmp_path}/$ELM_NODE")
    names = [nodes.start(), nodes.start()]
    assert names[0] != names[1]
    wait_until(lambda: {path.name for path in tmp_path.iterdir()} == set(names))
    time.sleep(0.3)
    assert nodes.alive() == names
    nodes.stop(names[0])
    wait_until(lambda: [path.name for path in tmp_path.iterdir()] == names[1:])
    nodes.close()
    assert list(tmp_path.iterdir()) == []
    assert nodes.notices() == []


def test_what_cannot_be_stopped_is_said(make: Callable[..., CommandNodes], tmp_path: Path) -> None:
    nodes = make(f"touch {tmp_path}/asked")
    name = nodes.start()
    wait_until((tmp_path / "asked").exists)
    time.sleep(0.5)
    nodes.stop(name)
    lines: list[str] = []
    wait_until(lambda: said(nodes, lines, "there is no command that stops it"))


def test_a_command_that_fails_is_one_line_and_no_more(make: Callable[..., CommandNodes]) -> None:
    nodes = make("echo one; echo 'sbatch: error: invalid partition' >&2; exit 3")
    name = nodes.start()
    wait_until(lambda: nodes.alive() == [])
    assert nodes.notices() == [
        f"node {name}: its start command ended with exit status 3: sbatch: error: invalid partition"
    ]
    other = make("true", "echo no such job; exit 2")
    name = other.start()
    time.sleep(0.5)
    other.stop(name)
    lines: list[str] = []
    wait_until(lambda: said(other, lines, "ended with exit status 2: no such job"))
    third = make("kill -9 $$")
    third.start()
    wait_until(lambda: said(third, lines, "its start command ended with SIGKILL"))


def test_a_slow_command_holds_up_nobody(make: Callable[..., CommandNodes]) -> None:
    nodes = make("sleep 600")
    begun = time.monotonic()
    for _ in range(20):
        nodes.start()
    assert len(nodes.alive()) == 20
    assert time.monotonic() - begun < 10  # and not twenty times anything


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": " "}, "start must be a command, got an empty one"),
        ({"start": "x", "at_once": 0}, "at_once must be above 0 seconds, got 0"),
        ({"start": "x", "stop_seconds": 0}, "stop_seconds must be above 0 seconds, got 0"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError) as caught:
        CommandNodes(join=JOIN, run_key=KEY, **settings)
    assert str(caught.value) == message


class FakeNodes:
    """Nodes that do as a test says."""

    def __init__(self) -> None:
        self.up: list[str] = []
        self.stopped: list[str] = []
        self.lines: list[str] = []
        self.count = 0
        self.fails = False

    def start(self) -> str:
        self.count += 1
        if self.fails:
            self.lines.append(f"n{self.count} failed")
        else:
            self.up.append(f"n{self.count}")
        return f"n{self.count}"

    def stop(self, name: str) -> None:
        self.stopped.append(name)
        self.up.remove(name)

    def alive(self) -> list[str]:
        return list(self.up)

    def notices(self) -> list[str]:
        lines, self.lines = self.lines, []
        return lines

    def close(self) -> None:
        self.up.clear()


BUSY = Reading(queued=1000, running=16, slots=16, load=0.5)
QUIET = Reading(queued=0, running=0, slots=32, load=0.0)


def scaler(nodes: FakeNodes, low: int = 0, high: int = 3, **settings: Any) -> NodeScaler:
    return NodeScaler(nodes, SlotRule(low, high, unit="node", period=10.0), **settings)


def drive(subject: NodeScaler, start: int, stop: int, reading: Reading, joined: Any) -> list[str]:
    """One reading a second; `joined` is called for each."""
    lines = []
    for now in range(start, stop):
        lines += subject.observe(float(now), reading, joined())
    return lines


def test_nodes_come_while_there_is_work_and_go_when_there_is_none() -> None:
    nodes = FakeNodes()
    subject = scaler(nodes)
    lines = drive(subject, 0, 100, BUSY, nodes.alive)
    assert nodes.up == ["n1", "n2", "n3"]
    assert lines[0].startswith("nodes 0 -> 1: 1000 tasks queued and 16 running on 16 slots")
    assert lines[1:3] == ["node n1 is asked for", "node n1 arrived after 1 s"]
    lines = drive(subject, 100, 300, QUIET, nodes.alive)
    assert nodes.up == []
    assert nodes.stopped == ["n3", "n2", "n1"]  # the newest first
    assert lines[-1] == "node n1 is given back"


def test_the_minimum_is_asked_for_at_once_and_replaced_when_it_leaves() -> None:
    nodes = FakeNodes()
    subject = scaler(nodes, low=2)
    drive(subject, 0, 3, QUIET, nodes.alive)
    assert subject.names == {"n1": True, "n2": True}
    nodes.up.remove("n1")
    lines = drive(subject, 3, 30, QUIET, nodes.alive)
    assert lines == [
        "node n1 has left; the next is asked for in 5 s at least",
        "node n3 is asked for",
        "node n3 arrived after 1 s",
    ]


def test_nodes_on_their_way_count() -> None:
    nodes = FakeNodes()
    subject = scaler(nodes, arrival_seconds=1000)
    drive(subject, 0, 900, BUSY, list)
    assert nodes.count == 1
    assert subject.names == {"n1": False}


def test_a_node_that_never_arrives_is_given_up_with_growing_pauses() -> None:
    nodes = FakeNodes()
    subject = scaler(nodes, low=1, arrival_seconds=60)
    lines = drive(subject, 0, 350, QUIET, list)
    assert lines[:3] == [
        "node n1 is asked for",
        "node n1 did not come within 60 s and is given up; the next is asked for in 5 s at least",
        "node n2 is asked for",
    ]
    assert "in 10 s at least" in lines[3]
    assert "in 20 s at least" in lines[5]
    assert nodes.stopped[:3] == ["n1", "n2", "n3"]
    assert len(nodes.up) == 1


def test_commands_that_fail_are_tried_again_ever_more_seldom() -> None:
    nodes = FakeNodes()
    nodes.fails = True
    subject = scaler(nodes, low=1)
    lines = drive(subject, 0, 3600, QUIET, list)
    assert lines[1] == "n1 failed"
    assert lines[2] == "node n1 did not come; the next is asked for in 5 s at least"
    assert 8 <= nodes.count <= 13  # 5, 10, 20, ... 600 seconds apart
    nodes.fails = False
    lines = drive(subject, 3600, 4300, QUIET, nodes.alive)
    assert any("arrived" in line for line in lines)


def test_a_node_that_is_cut_off_for_a_moment_is_waited_for() -> None:
    nodes = FakeNodes()
    subject = scaler(nodes, low=1, arrival_seconds=60)
    drive(subject, 0, 5, QUIET, nodes.alive)
    assert drive(subject, 5, 60, QUIET, list) == []
    assert drive(subject, 60, 65, QUIET, nodes.alive) == []
    lines = drive(subject, 65, 130, QUIET, list)
    assert lines[0].startswith("node n1 did not come back within 60 s and is given up")


def test_a_rule_for_slots_is_no_rule_for_nodes() -> None:
    with pytest.raises(ValueError, match="rule must count nodes"):
        NodeScaler(FakeNodes(), SlotRule(1, 2))
    with pytest.raises(ValueError, match="arrival_seconds must be above 0"):
        scaler(FakeNodes(), arrival_seconds=0)


def test_a_scaler_with_real_commands(make: Callable[..., CommandNodes], tmp_path: Path) -> None:
    nodes = make(f"echo $$ > {tmp_path}/$ELM_NODE; exec sleep 600")
    subject = scaler(nodes, low=2)  # type: ignore[arg-type]
    joined: list[str] = []
    assert len(subject.observe(0.0, QUIET, joined)) == 2
    wait_until(lambda: len(list(tmp_path.iterdir())) == 2)
    pids = [pid_in(path) for path in tmp_path.iterdir()]
    joined += [path.name for path in tmp_path.iterdir()]
    assert len(subject.observe(1.0, QUIET, joined)) == 2
    os.kill(pids[0], signal.SIGKILL)
    wait_until(lambda: any("SIGKILL" in line for line in subject.observe(2.0, QUIET, joined)))
    subject.close()
    assert not any(map(is_alive, pids))


# Through submitit, with processes of this machine in the place of a cluster's.

submitit = pytest.importorskip("submitit")
STAND_IN = (
    "import os, signal, sys, time\n"
    "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
    "keys = [key for key in os.environ if 'API_KEY' in key]\n"
    "words = [os.environ[key] for key in ('ELM_NODE', 'ELM_JOIN', 'ELM_RUN_KEY')]\n"
    "open(sys.argv[1] + '/' + words[0], 'w').write(f'{os.getpid()} {words} {keys}\\n')\n"
    "time.sleep(600)\n"
)


def test_a_job_is_a_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from elm.dispatch.slurm import SubmititNodes

    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    seen = tmp_path / "seen"
    seen.mkdir()
    command = shlex.join(["exec", sys.executable, "-c", STAND_IN, str(seen)])
    nodes = SubmititNodes(
        join=JOIN,
        run_key=KEY,
        executor="local",
        folder=tmp_path / "jobs",
        command=command,
        poll=0.1,
    )
    pids = []
    try:
        names = [nodes.start(), nodes.start()]
        wait_until(lambda: len(list(seen.iterdir())) == 2)
        pids = [pid_in(seen / name) for name in names]
        assert (seen / names[0]).read_text() == f"{pids[0]} {[names[0], JOIN, KEY]} []\n"
        assert nodes.alive() == names
        nodes.stop(names[0])
        assert nodes.alive() == names[1:]
        wait_until(lambda: not is_alive(pids[0]))
        os.kill(pids[1], signal.SIGKILL)
        wait_until(lambda: nodes.alive() == [])
        lines = nodes.notices()
        assert len(lines) == 1
        assert f"node {names[1]}: its job " in lines[0]
    finally:
        nodes.close()
    assert not any(map(is_alive, pids))


def test_settings_of_a_scheduler_are_checked(tmp_path: Path) -> None:
    from elm.dispatch.base import FleetError
    from elm.dispatch.slurm import SubmititNodes

    common: dict[str, Any] = {"join": JOIN, "run_key": KEY, "folder": tmp_path}
    with pytest.raises(ValueError, match="executor must be one of slurm, local, got 'cloud'"):
        SubmititNodes(executor="cloud", **common)
    with pytest.raises(ValueError, match=r"parameters: .*no_such"):
        SubmititNodes(executor="local", parameters={"no_such": 1}, **common)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path))
        with pytest.raises(FleetError, match="no nodes from slurm"):
            SubmititNodes(executor="slurm", **common)
