"""Slots on a Ray cluster, or on a Ray of this run's own: one jailed slot in each Ray actor.

Ray places actors and carries bytes; which task is where, how often it was tried and whether its
result has arrived is kept here, in the same ledger as for our own fleet. An actor has one task at
a time, so that its death accuses that task alone. Nothing of ours is pickled by hand: bundles,
tasks and evaluations travel as the JSON and MessagePack of `sandbox.protocol`. (Ray itself moves
the name of the actor's class with pickle: a Ray cluster trusts all who may connect to it.)
"""

from __future__ import annotations

import contextlib
import importlib
import os
import queue
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from elm.dispatch.base import FleetError
from elm.dispatch.ledger import Ledger
from elm.dispatch.process import worker_environment
from elm.dispatch.quota import one_line
from elm.dispatch.settings import check_level, check_max_tries
from sandbox.protocol import (
    Bundle,
    Evaluation,
    Result,
    Status,
    Task,
    decode_from_worker,
    encode,
)

SLOT = "sandbox.slot:Slot"
SHORTEST_PAUSE, LONGEST_PAUSE = 0.1, 10.0  # seconds before an actor is started again
STEADY_SECONDS = 30.0  # a life this long ends the growth of the pause
SETTLE_SECONDS = 2.0  # for further slots, once the first is up
CLOSE_SECONDS = 3.0  # for idle slots to close by themselves
STALLED = 3  # times the longest execution, before an actor counts as stuck
NO_SLOT_AFTER = 10.0  # seconds without any slot before a person is told
OBJECT_STORE_BYTES = 100 * 1024**2  # of a Ray of our own: nothing large is kept there
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",  # tells nobody
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


class SlotStarted(msgspec.Struct, frozen=True):
    """What an actor says when its slot was started."""

    level: str
    node: str
    pid: int
    failure: str = ""  # one line: why it was not


class SlotActor:
    """Life of one slot, in a process of Ray's. Its methods take and give bytes."""

    def __init__(self, slot: str, bundle: bytes, level: str, index: int) -> None:
        self._make, self._level, self._index = slot, level, index
        self._bundle = msgspec.json.decode(bundle, type=Bundle)
        self._slot: Any = None

    def start(self) -> bytes:
        """A `SlotStarted`."""
        # What a death of the parent does is decided per thread: Ray calls an actor in one only.
        node, level, failure = os.uname().nodename, "", ""
        try:
            module, _, name = self._make.partition(":")
            make = getattr(importlib.import_module(module), name)
            slot = make(self._bundle, level=self._level, node=node, index=self._index)
            slot.start()
            self._slot, level = slot, slot.level
        except Exception as error:  # whatever it is, the run is told
            failure = one_line(str(error) or type(error).__name__)
        return msgspec.msgpack.encode(SlotStarted(level, node, os.getpid(), failure))

    def evaluate(self, lease: int, task: bytes) -> bytes:
        """A `Result`; without blame where the slot has to be replaced."""
        wanted = msgspec.msgpack.decode(task, type=Task)
        blame = True
        try:
            evaluation = self._slot.evaluate(wanted)
            if evaluation.status is Status.LOST:
                blame = not self._slot.blameless
                self._slot.start()  # what is missing of it
            return encode(Result.pack("", lease, evaluation, blame))
        except Exception as error:  # a defect of the slot: the program is not to blame
            blame, detail = False, one_line(str(error) or type(error).__name__)
        lost = Evaluation(candidate=wanted.candidate, status=Status.LOST, detail=detail)
        return encode(Result.pack("", lease, lost, blame))

    def close(self) -> None:
        """Ends the slot's processes."""
        if self._slot is not None:
            self._slot.close()


@dataclass
class _Seat:
    """One slot that is wanted, through the lives of its actors."""

    index: int
    life: int = 0
    actor: Any = None
    up: SlotStarted | None = None
    since: float = 0.0  # when this life began
    task_since: float | None = None
    due: float = 0.0  # before that it is not started again
    pause: float = SHORTEST_PAUSE

    @property
    def worker(self) -> str:
        """Its name in the ledger."""
        return f"{self.index}.{self.life}"


class RayDispatcher:
    """Executes in Ray actors. Implements `elm.dispatch.base.Dispatcher`.

    Args:
        slots: actors with one slot each, or "auto": one for each processor of the cluster.
        level: the jail that slots must have; "auto" takes the strongest that works there.
        max_tries: losses after which a program counts as poison.
        address: of a running cluster, "auto" for the one of this machine; None starts a Ray on
            this machine, reachable from it alone, which ends with the run. A process that is
            connected already stays with what it is connected to, and stays connected.
        start_seconds: how long the first start may take.

    Raises:
        ValueError: for a setting that cannot be, in one line that names it.
    """

    def __init__(
        self,
        slots: int | str = "auto",
        level: str = "auto",
        *,
        max_tries: int = 3,
        address: str | None = None,
        start_seconds: float = 120.0,
    ) -> None:
        if slots != "auto" and (isinstance(slots, bool | str) or slots != int(slots) or slots < 1):
            raise ValueError(
                f"dispatch.slots must be a whole number above 0 or 'auto', got {slots}"
            )
        check_level(level)
        check_max_tries(max_tries)
        if not start_seconds > 0:
            raise ValueError(f"dispatch.start_seconds must be above 0 seconds, got {start_seconds}")
        if address is not None and (not isinstance(address, str) or not address.strip()):
            raise ValueError(f"dispatch.address must be host:port, 'auto' or null, got {address!r}")
        self._asked: int | None = None if slots == "auto" else int(slots)
        self._level, self._address = level, address
        self._start_seconds = start_seconds
        self.slot = SLOT  # what actors make their slots with; may be changed before `start`
        self._ledger = Ledger(max_tries)
        self._changed = threading.Condition()  # guards all that follows
        self._seats: list[_Seat] = []
        self._notices: list[str] = []
        self._refusal: str | None = None  # why the last slot did not start
        self._failure: BaseException | None = None
        self._closing = False
        self._started = False
        self._without_since: float | None = None
        # Calls that have ended; filled by Ray's own thread, which must not wait for ours.
        self._ended: queue.SimpleQueue[tuple[_Seat, int, int | None, Any]] = queue.SimpleQueue()
        self._ray: Any = None
        self._ours = False  # the Ray that was started here
        self._folder: Path | None = None
        self._bundle: Bundle | None = None
        self._packed: Any = None  # the bundle as an object of Ray's
        self._actor_class: Any = None
        self._longest = 0.0
        self._thread = threading.Thread(target=self._run, name="ray-dispatcher", daemon=True)

    # The contract -----------------------------------------------------------------------------

    @property
    def level(self) -> str:
        """The weakest jail among the slots; "" before the first is up."""
        with self._changed:
            return min((seat.up.level for seat in self._seats if seat.up), default="")

    @property
    def slots(self) -> int:
        """How many tasks can run at one time right now."""
        with self._changed:
            return sum(seat.up is not None for seat in self._seats)

    def start(self, bundle: Bundle) -> None:
        """Connects to Ray and waits until the first slot is up, and shortly for the others.

        Raises:
            FleetError: if Ray is not installed or cannot be reached, or no slot comes up.
        """
        if self._started:
            raise FleetError("this fleet was started already; close it and make another")
        try:
            import ray
        except ImportError:
            raise FleetError(
                "dispatch=ray needs the package 'ray': pip install 'elm[ray]'"
            ) from None
        self._started = True
        self._ray, self._bundle = ray, bundle
        limits = bundle.limits.wall_seconds + bundle.judge_limits.wall_seconds
        self._longest = STALLED * limits + 60.0
        try:
            self._connect()
            self._thread.start()
            self._await_slots()
        except BaseException:
            self.close()
            raise

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queues tasks. Returns at once.

        Raises:
            ValueError: for a candidate that is open, or a task of another bundle.
        """
        assert self._running() and self._bundle is not None
        digest = self._bundle.digest
        with self._changed:
            self._check()
            for task in tasks:
                if task.bundle != digest:
                    raise ValueError(
                        f"task of bundle {task.bundle[:12]}, fleet of {digest[:12]}: "
                        "start another fleet for it"
                    )
                self._ledger.add(task)
            self._assign()

    def results(self, timeout: float) -> list[Evaluation]:
        """Evaluations that arrived since the last call; waits up to `timeout` seconds."""
        assert self._running()
        with self._changed:
            self._changed.wait_for(lambda: self._ledger.finished or self._failure, timeout)
            self._check()
            finished, self._ledger.finished = self._ledger.finished, []
            return finished

    def acknowledge(self, candidates: Iterable[int]) -> None:
        """Says that these evaluations are safe on disk."""
        with self._changed:
            for candidate in candidates:
                self._ledger.acknowledge(candidate)

    def notices(self) -> list[str]:
        """What happened since the last call, one line each."""
        with self._changed:
            notices, self._notices = self._notices, []
            return notices

    def close(self) -> None:
        """Ends the actors, and the Ray that was started for this run. May be called twice."""
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        if self._ray is not None and self._ray.is_initialized():
            self._end_actors()
            if self._ours:
                self._ray.shutdown()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    # What else can be seen --------------------------------------------------------------------

    @property
    def worker_pids(self) -> list[int]:
        """Of the actors' processes, on whatever machines they are."""
        with self._changed:
            return [seat.up.pid for seat in self._seats if seat.up]

    def status(self) -> dict[str, Any]:
        """Slots, queue and counters, as plain data."""
        with self._changed:
            seats = [
                {
                    "slot": seat.index,
                    "node": seat.up.node if seat.up else "",
                    "level": seat.up.level if seat.up else "",
                    "pid": seat.up.pid if seat.up else 0,
                    "lives": seat.life,
                }
                for seat in self._seats
            ]
            return {"workers": seats, **self._ledger.census(), "counts": dict(self._ledger.counts)}

    # Start and end ----------------------------------------------------------------------------

    def _connect(self) -> None:
        ray = self._ray
        if not ray.is_initialized():
            with _ray_environment(whole=self._address is not None), _own_signals():
                try:
                    self._init()
                except Exception as error:
                    where = "be started" if self._address is None else f"reach {self._address}"
                    raise FleetError(f"Ray cannot {where}: {_line(error)}") from None
            self._ours = True
        if self._asked is None:
            self._asked = max(1, int(ray.cluster_resources().get("CPU", 1)))
        assert self._bundle is not None
        try:
            self._packed = ray.put(msgspec.json.encode(self._bundle))
        except Exception as error:
            raise FleetError(f"Ray does not take the environment: {_line(error)}") from None
        self._actor_class = ray.remote(SlotActor)
        self._seats = [_Seat(index) for index in range(self._asked)]

    def _init(self) -> None:
        common: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self._address is not None:
            self._ray.init(address=self._address, **common)
            return
        self._folder = Path(tempfile.mkdtemp(prefix="elm-", dir=_short_folder()))
        self._ray.init(
            address="local",
            num_cpus=self._asked,
            num_gpus=0,
            include_dashboard=False,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=str(self._folder),
            _node_ip_address="127.0.0.1",
            **common,
        )

    def _await_slots(self) -> None:
        def up() -> int:
            self._check()
            return sum(seat.up is not None for seat in self._seats)

        with self._changed:
            self._changed.wait_for(lambda: up() or self._refusal, self._start_seconds)
            if up():
                # A run should not begin with one slot of many.
                self._changed.wait_for(lambda: up() == len(self._seats), SETTLE_SECONDS)
                return
            reason = self._refusal or f"nothing came up within {self._start_seconds:g} s"
        raise FleetError(f"no sandbox can be started: {reason}")

    def _end_actors(self) -> None:
        """Lets idle slots close, then kills; the processes of a slot end with its actor's."""
        ray = self._ray
        actors = [seat.actor for seat in self._seats if seat.actor is not None]
        idle = [seat for seat in self._seats if seat.up and seat.task_since is None]
        pids = [(seat.up.pid, seat.up.node) for seat in self._seats if seat.up]
        with contextlib.suppress(ray.exceptions.RayError):  # of an actor that has died meanwhile
            closing = [seat.actor.close.remote() for seat in idle]
            if closing:
                ray.wait(closing, num_returns=len(closing), timeout=CLOSE_SECONDS)
        for actor in actors:
            with contextlib.suppress(ray.exceptions.RayError):  # dead already
                ray.kill(actor)
        here = [pid for pid, node in pids if node == os.uname().nodename]
        end = time.monotonic() + CLOSE_SECONDS
        while any(_exists(pid) for pid in here) and time.monotonic() < end:
            time.sleep(0.02)

    def _running(self) -> bool:
        if not self._started:
            raise FleetError("this fleet was not started")
        return True

    def _check(self) -> None:
        if self._failure is not None:
            raise FleetError(f"the connection to Ray broke: {_line(self._failure)}")

    # The thread -------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing:
                with self._changed:
                    self._tend(time.monotonic())
                    self._assign()
                    self._changed.notify_all()
                ended = self._collect()
                if ended:
                    with self._changed:
                        for seat, life, lease, future in ended:
                            self._take(seat, life, lease, future)
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _collect(self) -> list[tuple[_Seat, int, int | None, Any]]:
        """Calls that have ended; waits a moment for the first."""
        ended = []
        with contextlib.suppress(queue.Empty):
            ended.append(self._ended.get(timeout=0.1))
            while True:
                ended.append(self._ended.get_nowait())
        return ended

    def _tend(self, now: float) -> None:
        """Starts actors where they are due, and kills those that are stuck."""
        for seat in self._seats:
            if seat.actor is None and now >= seat.due:
                self._start_actor(seat, now)
            elif seat.task_since is not None and now - seat.task_since > self._longest:
                # The machinery's fault: limits end every program long before.
                self._ledger.release(seat.worker)
                reason = f"it has kept a program for {self._longest:g} s, more than limits allow"
                self._drop(seat, now, reason)
        if any(seat.up for seat in self._seats):
            self._without_since = None
        elif self._without_since is None:
            self._without_since = now
        elif now - self._without_since > NO_SLOT_AFTER:
            self._notices.append(f"no slot for {NO_SLOT_AFTER:g} s: {self._refusal or 'waiting'}")
            self._without_since = float("inf")

    def _start_actor(self, seat: _Seat, now: float) -> None:
        seat.life += 1
        seat.since, seat.up, seat.task_since = now, None, None
        actor_class = self._actor_class.options(
            num_cpus=1, max_restarts=0, max_task_retries=0, scheduling_strategy="SPREAD"
        )
        seat.actor = actor_class.remote(self.slot, self._packed, self._level, seat.index)
        self._follow(seat, None, seat.actor.start.remote())

    def _follow(self, seat: _Seat, lease: int | None, reference: Any) -> None:
        life, ended = seat.life, self._ended
        reference.future().add_done_callback(lambda future: ended.put((seat, life, lease, future)))

    def _assign(self) -> None:
        """Gives each idle slot a task: one that is suspected first."""
        now = time.monotonic()
        for seat in self._seats:
            if not (self._ledger.queued or self._ledger.suspected):
                return
            if seat.up is None or seat.task_since is not None:
                continue
            lease = self._ledger.lease(seat.worker, now, suspect=self._ledger.suspected)
            seat.task_since = now
            task = msgspec.msgpack.encode(lease.item.task)
            self._follow(seat, lease.number, seat.actor.evaluate.remote(lease.number, task))

    def _take(self, seat: _Seat, life: int, number: int | None, future: Any) -> None:
        """A call has ended."""
        if life != seat.life or seat.actor is None:
            return  # of an actor that was given up
        now = time.monotonic()
        try:
            answer = future.result()
        except Exception as error:
            self._died(seat, now, error)
            return
        if number is None:
            self._up(seat, now, msgspec.msgpack.decode(answer, type=SlotStarted))
            return
        message = decode_from_worker(answer)
        lease = self._ledger.find(number, seat.worker)
        assert isinstance(message, Result) and lease is not None
        evaluation = message.unpack()
        seat.task_since = None
        if evaluation.status is not Status.LOST:
            self._ledger.deliver(lease, evaluation)
        else:
            self._notices.append(f"slot {seat.index} lost a program: {evaluation.detail}")
            self._ledger.slot_lost(lease, evaluation.detail, blame=message.blame)
            if not message.blame:
                self._drop(seat, now, evaluation.detail)
        self._assign()
        self._changed.notify_all()

    def _up(self, seat: _Seat, now: float, started: SlotStarted) -> None:
        if started.failure:
            self._refusal = started.failure
            self._drop(seat, now, started.failure)
            return
        seat.up = started
        self._without_since = None
        if seat.life > 1:
            self._notices.append(f"slot {seat.index} is up again on {started.node}")
        self._assign()
        self._changed.notify_all()

    def _died(self, seat: _Seat, now: float, error: Exception) -> None:
        """An actor's process has ended, or its node."""
        reason = _death(error)
        if seat.up is None:
            self._refusal = reason
        if self._node_is_gone(error):
            self._ledger.release(seat.worker)  # it says nothing about the program
        else:
            self._ledger.worker_lost(seat.worker, reason, certain=True)
        self._drop(seat, now, reason)

    def _node_is_gone(self, error: Exception) -> bool:
        text = str(error)
        return "node" in text and ("NODE_DIED" in text or "node has terminated" in text)

    def _drop(self, seat: _Seat, now: float, reason: str) -> None:
        """Gives an actor up; another one follows."""
        if seat.actor is not None:
            with contextlib.suppress(self._ray.exceptions.RayError):  # dead already
                self._ray.kill(seat.actor)
        if now - seat.since >= STEADY_SECONDS:
            seat.pause = SHORTEST_PAUSE
        seat.actor, seat.up, seat.task_since = None, None, None
        seat.due = now + seat.pause
        seat.pause = min(2 * seat.pause, LONGEST_PAUSE)
        self._notices.append(f"slot {seat.index} is down: {reason}")
        self._changed.notify_all()


def _line(error: BaseException) -> str:
    """The first line that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def _death(error: Exception) -> str:
    """Why an actor died, out of Ray's several lines."""
    for line in str(error).splitlines():
        if "exit" in line or "died" in line or "terminated" in line:
            found = line.strip()
            break
    else:
        found = _line(error)
    return f"its actor ended: {found[:250]}"


def _exists(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state not in "ZX"


def _short_folder() -> str:
    """Where temporary files go; sockets of Ray take 70 of the 107 bytes of a path."""
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= 20 else "/tmp"


@contextlib.contextmanager
def _ray_environment(*, whole: bool) -> Iterator[None]:
    """While Ray is started: what its processes may see, which is none of the run's keys.

    Args:
        whole: to see all, its own address and token too: where nothing is started here.
    """
    before = dict(os.environ)
    home = {"HOME": before.get("HOME", "/")}
    allowed = (before if whole else worker_environment() | home) | _ENVIRONMENT
    try:
        os.environ.clear()
        os.environ.update(allowed)
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Puts back what Ray does to signals: Ctrl-C and SIGTERM are the run's business."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [(number, signal.getsignal(number)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
