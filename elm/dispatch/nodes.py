"""More machines when there is work for them: asked for, waited for, given back.

`Nodes` is how machines are had; `CommandNodes` has them with two commands of the user, and
`elm.dispatch.slurm` through a scheduler. `NodeScaler` joins that with the rule of
`elm.dispatch.scaling`. A node that has been asked for starts a sandbox server, which joins the run
by itself; that it has come, the run sees by its name.
"""

from __future__ import annotations

import contextlib
import os
import queue
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from elm.dispatch.scaling import Reading, SlotRule

SHORTEST_PAUSE, LONGEST_PAUSE = 5.0, 600.0  # seconds after a node that did not come
STOP_SECONDS = 30.0  # for a node to finish what it runs
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR")
_POLL = 0.1


class Nodes(Protocol):
    """Machines that can be had. Calls return at once; what takes time happens elsewhere."""

    def start(self) -> str:
        """Asks for one more node; its name, which no other node has had."""

    def stop(self, name: str) -> None:
        """Gives a node back, come or not; a name that is not known any more is no error."""

    def alive(self) -> list[str]:
        """Nodes that were asked for and have neither ended nor failed, oldest first."""

    def notices(self) -> list[str]:
        """What happened since the last call, one line each."""

    def close(self) -> None:
        """Gives all back. Waits for as long as nodes are given to finish."""


def node_name() -> str:
    """A name that no other node has had."""
    return f"node-{secrets.token_hex(4)}"


def node_environment(
    name: str, join: str, run_key: str, keep: Sequence[str] = ()
) -> dict[str, str]:
    """What a node, or the command that starts it, may see: no key of the user's.

    Args:
        name: of the node.
        join: address at which servers join the run.
        run_key: the run's public key.
        keep: more variables to hand over, `SSH_AUTH_SOCK` say.
    """
    kept = {key: os.environ[key] for key in (*_KEPT, *keep) if key in os.environ}
    return kept | {"ELM_NODE": name, "ELM_JOIN": join, "ELM_RUN_KEY": run_key}


@dataclass
class _Started:
    """A start command that has been executed."""

    log: Path
    process: subprocess.Popen[bytes]
    since: float
    asked: bool = False  # it has ended well: the node is somebody else's process
    kill_at: float | None = None  # it is being stopped


class CommandNodes:
    """Nodes that a command starts. Implements `Nodes`.

    The command may be the node (`ssh machine python -m sandbox serve ...`), and then runs for as
    long as that; or it asks somebody else for it (`sbatch ...`), and ends. Commands are given to
    `sh`, with `ELM_NODE`, `ELM_JOIN` and `ELM_RUN_KEY` in their environment.

    Args:
        start: command that starts the node `$ELM_NODE`.
        stop: command that stops it. Without one, the start command gets SIGTERM, and SIGKILL
            `stop_seconds` later; a node that was only asked for then ends when the run does.
        join: address at which servers join the run.
        run_key: the run's public key.
        keep: more variables of this process that commands may see.
        at_once: seconds within which a start command that ends well has asked for a node. After
            that it has been the node itself.
        stop_seconds: for a node to finish what it runs.

    Raises:
        ValueError: for a setting that cannot be.
    """

    def __init__(
        self,
        start: str,
        stop: str | None = None,
        *,
        join: str,
        run_key: str,
        keep: Sequence[str] = (),
        at_once: float = 30.0,
        stop_seconds: float = STOP_SECONDS,
    ) -> None:
        if not start.strip():
            raise ValueError("start must be a command, got an empty one")
        if not at_once > 0:
            raise ValueError(f"at_once must be above 0 seconds, got {at_once}")
        if not stop_seconds > 0:
            raise ValueError(f"stop_seconds must be above 0 seconds, got {stop_seconds}")
        self._start, self._stop = start, stop
        self._join, self._run_key, self._keep = join, run_key, tuple(keep)
        self._at_once, self._stop_seconds = at_once, stop_seconds
        self._folder = Path(tempfile.mkdtemp(prefix="elm-nodes-"))
        self._lock = threading.Lock()
        self._alive: dict[str, None] = {}
        self._notices: list[str] = []
        self._jobs: queue.SimpleQueue[tuple[str, str]] = queue.SimpleQueue()
        self._closing = False
        # Of the thread alone:
        self._started: dict[str, _Started] = {}
        self._stops: dict[str, _Started] = {}
        self._thread = threading.Thread(target=self._run, name="nodes", daemon=True)
        self._thread.start()

    def start(self) -> str:
        """Asks for one more node."""
        name = node_name()
        with self._lock:
            self._alive[name] = None
        self._jobs.put(("start", name))
        return name

    def stop(self, name: str) -> None:
        """Gives a node back."""
        with self._lock:
            known = name in self._alive
            self._alive.pop(name, None)
        if known:
            self._jobs.put(("stop", name))

    def alive(self) -> list[str]:
        """Nodes that were asked for and have neither ended nor failed."""
        with self._lock:
            return list(self._alive)

    def notices(self) -> list[str]:
        """What happened since the last call, one line each."""
        with self._lock:
            notices, self._notices = self._notices, []
            return notices

    def close(self) -> None:
        """Gives all nodes back and waits for the commands. May be called twice."""
        for name in self.alive():
            self.stop(name)
        self._closing = True
        self._thread.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    # The thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            with contextlib.suppress(queue.Empty):
                action, name = self._jobs.get(timeout=_POLL)
                if action == "start":
                    self._execute_start(name)
                else:
                    self._execute_stop(name)
            for name in list(self._started):
                self._watch_start(name)
            for name in list(self._stops):
                self._watch_stop(name)
            busy = self._stops or any(not each.asked for each in self._started.values())
            if self._closing and not busy and self._jobs.empty():
                return

    def _execute(self, command: str, name: str, log: str) -> _Started:
        path = self._folder / log
        with path.open("wb") as output:
            process = subprocess.Popen(
                ["sh", "-c", command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=node_environment(name, self._join, self._run_key, self._keep),
                start_new_session=True,  # Ctrl-C is for the run only
            )
        return _Started(path, process, time.monotonic())

    def _execute_start(self, name: str) -> None:
        with self._lock:
            if name not in self._alive:
                return  # given back before it was asked for
        try:
            self._started[name] = self._execute(self._start, name, f"{name}.start")
        except OSError as error:
            self._fail(name, f"node {name}: sh cannot be executed: {error.strerror}")

    def _execute_stop(self, name: str) -> None:
        started = self._started.get(name)
        if started is None:
            return
        deadline = time.monotonic() + self._stop_seconds
        if self._stop is not None:
            try:
                self._stops[name] = self._execute(self._stop, name, f"{name}.stop")
                self._stops[name].kill_at = deadline
            except OSError as error:
                self._say(f"node {name}: sh cannot be executed: {error.strerror}")
        elif started.asked:
            self._say(f"node {name} was asked for and there is no command that stops it")
        else:
            _signal_group(started.process, signal.SIGTERM)
        if started.asked:
            del self._started[name]
        else:
            started.kill_at = deadline

    def _watch_start(self, name: str) -> None:
        started = self._started[name]
        if started.asked:
            return
        status, now = started.process.poll(), time.monotonic()
        stopping = started.kill_at is not None
        if status is None:
            if started.kill_at is not None and now > started.kill_at:
                _signal_group(started.process, signal.SIGKILL)
            return
        if status == 0 and not stopping and now - started.since <= self._at_once:
            # What it has put into the background is the node, or the way to it.
            started.asked = True
            return
        _signal_group(started.process, signal.SIGKILL)  # what is left of it
        del self._started[name]
        if not stopping:
            self._fail(name, f"node {name}: its start command ended with {_end(started)}")

    def _watch_stop(self, name: str) -> None:
        stop = self._stops[name]
        status = stop.process.poll()
        if status is None:
            if stop.kill_at is not None and time.monotonic() > stop.kill_at:
                _signal_group(stop.process, signal.SIGKILL)
            return
        del self._stops[name]
        if status != 0:
            self._say(f"node {name}: its stop command ended with {_end(stop)}")

    def _fail(self, name: str, line: str) -> None:
        with self._lock:
            self._alive.pop(name, None)
            self._notices.append(line)

    def _say(self, line: str) -> None:
        with self._lock:
            self._notices.append(line)


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _end(command: _Started) -> str:
    """How a command ended, with the last line that it printed."""
    status = command.process.returncode
    end = signal.Signals(-status).name if status < 0 else f"exit status {status}"
    lines = command.log.read_bytes()[-4096:].decode("utf-8", "replace").strip().splitlines()
    return end + (f": {lines[-1].strip()[:300]}" if lines else "")


@dataclass
class _Asked:
    """A node of the scaler."""

    since: float  # asked for, or last seen
    arrived: bool = False


class NodeScaler:
    """Has as many nodes as a rule wants. Called by one thread; never blocks.

    Args:
        nodes: how nodes are had; closed with the scaler.
        rule: how many; of the unit "node".
        arrival_seconds: within which a node has to join; longer than a scheduler's queue.

    Raises:
        ValueError: for a rule that counts something else, or seconds that cannot be.
    """

    def __init__(self, nodes: Nodes, rule: SlotRule, *, arrival_seconds: float = 600.0) -> None:
        if rule.unit != "node":
            raise ValueError(f"rule must count nodes, got one of the unit {rule.unit!r}")
        if not arrival_seconds > 0:
            raise ValueError(f"arrival_seconds must be above 0, got {arrival_seconds}")
        self.nodes, self.rule, self.arrival_seconds = nodes, rule, arrival_seconds
        self._asked: dict[str, _Asked] = {}  # oldest first
        self._due = float("-inf")  # before that none is asked for
        self._pause = SHORTEST_PAUSE

    @property
    def names(self) -> Mapping[str, bool]:
        """The nodes that count, and whether each has arrived."""
        return {name: asked.arrived for name, asked in self._asked.items()}

    def observe(self, now: float, reading: Reading, joined: Collection[str]) -> list[str]:
        """Starts and stops nodes as the rule wants; lines for the journal.

        Args:
            now: seconds, ascending.
            reading: of the run; its number of nodes is counted here.
            joined: names of all nodes that are with the run now, of whatever origin.
        """
        lines = self._take_stock(now, joined)
        # After the lines of who failed, which say why a node is missing.
        lines = self.nodes.notices() + lines
        arrived = sum(name in joined for name in self._asked)
        decision = self.rule.observe(now, msgspec.structs.replace(reading, nodes=arrived))
        if decision is not None:
            lines.append(decision.reason)
        while len(self._asked) > self.rule.target:
            lines.append(self._stop_one(now))
        while len(self._asked) < self.rule.target and now >= self._due:
            name = self.nodes.start()
            self._asked[name] = _Asked(now)
            lines.append(f"node {name} is asked for")
        return lines

    def close(self) -> None:
        """Gives all nodes back."""
        self.nodes.close()
        self._asked.clear()

    def _take_stock(self, now: float, joined: Collection[str]) -> list[str]:
        """Who has come, who has gone, and whom to wait for no longer."""
        lines = []
        alive = set(self.nodes.alive())
        for name, asked in list(self._asked.items()):
            if name in joined:
                if not asked.arrived:
                    lines.append(f"node {name} arrived after {now - asked.since:.0f} s")
                    self._pause = SHORTEST_PAUSE
                asked.arrived, asked.since = True, now
                continue
            if name not in alive:
                what = "has left" if asked.arrived else "did not come"
            elif now - asked.since > self.arrival_seconds:
                waited = f"within {self.arrival_seconds:g} s"
                what = f"did not come {'back ' if asked.arrived else ''}{waited} and is given up"
                self.nodes.stop(name)
            else:
                continue
            del self._asked[name]
            self._due = now + self._pause
            lines.append(f"node {name} {what}; the next is asked for in {self._pause:g} s at least")
            self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return lines

    def _stop_one(self, now: float) -> str:
        """Gives one node back: one that has not come yet if there is one, else the newest."""
        newest = list(reversed(self._asked.items()))
        name = next((name for name, asked in newest if not asked.arrived), newest[0][0])
        del self._asked[name]
        self.nodes.stop(name)
        return f"node {name} is given back"
