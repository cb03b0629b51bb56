"""A node: the slots of one machine, lent to several runs and to a desk. Knows no HTTP.

Each run has a worker of its own, with slots of its own, so that nothing of one run reaches
another. All share a turnstile: together they execute no more programs at one time than the node
has slots.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sandbox import log
from sandbox.agent import Agent
from sandbox.attendant import MakeSlot, SlotLike
from sandbox.bundles import script_bundle
from sandbox.desk import Desk
from sandbox.keys import KeyPair
from sandbox.link import Curve, Link
from sandbox.protocol import PROTOCOL_VERSION, Bundle, Evaluation, Status, Task
from sandbox.shelf import Shelf
from sandbox.slot import SandboxError, Slot
from sandbox.turnstile import Turnstile
from sandbox.web.messages import Attached, DeskStatus, NodeStatus, RunStatus
from sandbox.worker import Worker

DRAIN_SECONDS = 30.0
LOOK_SECONDS = 0.25  # between two looks at the runs
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 30.0  # before a run that ended is joined again
HEALTHY_SECONDS, FAILING_SECONDS = 60.0, 5.0  # that what was found of the slots counts


class NodeFull(Exception):
    """As many runs are attached as the node takes."""


class NodeDraining(Exception):
    """The node takes nothing new."""


class Observer(Protocol):
    """Told what the slots do; `sandbox.web.metrics.Metrics` is one. From any thread."""

    def begun(self) -> None: ...
    def ended(self, way: str, evaluation: Evaluation) -> None: ...
    def restarted(self) -> None: ...


class Unobserved:
    """Nobody counts."""

    def begun(self) -> None:
        """A program starts."""

    def ended(self, way: str, evaluation: Evaluation) -> None:
        """A program has ended; `way` is how it came in, fleet or http."""

    def restarted(self) -> None:
        """A slot had to be started again."""


class _ObservedSlot:
    """A slot that tells what it does."""

    def __init__(self, slot: SlotLike, way: str, observer: Observer) -> None:
        self._slot, self._way, self._observer = slot, way, observer

    @property
    def level(self) -> str:
        return self._slot.level

    @property
    def pids(self) -> dict[str, int]:
        return self._slot.pids

    @property
    def blameless(self) -> bool:
        return self._slot.blameless

    def start(self) -> None:
        self._slot.start()

    def evaluate(self, task: Task) -> Evaluation:
        before = self._slot.pids
        self._observer.begun()
        evaluation = Evaluation(candidate=task.candidate, status=Status.LOST)
        try:
            evaluation = self._slot.evaluate(task)
        finally:
            self._observer.ended(self._way, evaluation)
            if self._slot.pids != before:
                self._observer.restarted()
        return evaluation

    def close(self) -> None:
        self._slot.close()


def find_level(level: str = "auto") -> str:
    """The jail level that a real slot comes up with on this machine.

    Raises:
        SandboxError: if it does not come up with this level, or does not execute.
    """
    slot = Slot(script_bundle(), level=level)
    slot.start()
    try:
        task = Task(0, slot.bundle.digest, {"probe.py": "result = 1"}, 0)
        found = slot.evaluate(task)
        if found.status is not Status.OK:
            raise SandboxError(f"a slot of level {slot.level} starts, but: {found.detail}")
        return slot.level
    finally:
        slot.close()


@dataclass(eq=False)
class _Service:
    """One worker at work for a run."""

    run: str  # "" where the node has joined by itself
    address: str
    key: str
    worker: Worker
    name: str
    thread: threading.Thread
    trouble: str = ""  # that has been logged

    @property
    def over(self) -> bool:
        return not self.thread.is_alive()


class Node:
    """Slots for runs and for the desk. Its methods may be called from any thread.

    Args:
        name: given in results.
        slots: programs executed at one time.
        level: of every slot; see `find_level`.
        keys: the node's own pair.
        runs: that may be attached at one time.
        forget: seconds of silence after which an attached run is dropped.
        most_open: evaluations that may be open at the desk.
        observer: told what the slots do.
        make_slot: for tests; slots of `sandbox.slot` by default.

    Attributes:
        drained: set when nothing is left to do after `drain`.
    """

    def __init__(
        self,
        name: str,
        slots: int,
        level: str,
        keys: KeyPair,
        *,
        runs: int = 8,
        forget: float = 600.0,
        most_open: int = 32,
        observer: Observer | None = None,
        make_slot: MakeSlot | None = None,
    ) -> None:
        self.name, self.slots, self.level, self.keys = name, slots, level, keys
        self.draining = False
        self.drained = threading.Event()
        self._runs, self._forget = runs, forget
        self._observer = Unobserved() if observer is None else observer
        self._make = make_slot or self._real_slot
        self._shelf = Shelf()
        self._turnstile = Turnstile(slots)
        self.desk = Desk(
            self._maker("http"),
            self._turnstile,
            slots=slots,
            most=most_open,
            tell=lambda text: log.warn("slot", text=text),
        )
        self._lock = threading.RLock()
        self._attached: dict[str, _Service] = {}
        self._joined: dict[tuple[str, str], _Service] = {}
        self._joiners: list[threading.Thread] = []
        self._leaving: list[_Service] = []
        self._stopping = threading.Event()
        self._on_drained: Callable[[], None] = lambda: None
        self._drain_until = float("inf")
        self._probe = threading.Lock()
        self._probed, self._fault = float("-inf"), ""
        self._keeper = threading.Thread(target=self._keep, name="node", daemon=True)
        self._keeper.start()

    # Runs -------------------------------------------------------------------------------------

    def attach(self, run: str, address: str, key: str) -> Attached:
        """Works for a run from now on. Asked a second time, it answers the same.

        Args:
            run: the name under which it can be detached.
            address: tcp://host:port of its dispatcher.
            key: the run's public key.

        Raises:
            NodeFull: if too many runs are attached.
            NodeDraining: if nothing new is taken.
        """
        with self._lock:
            if self.draining:
                raise NodeDraining
            service = self._attached.get(run)
            if service is None or service.over or (service.address, service.key) != (address, key):
                self._reap()
                if run not in self._attached and len(self._attached) >= self._runs:
                    raise NodeFull
                if run in self._attached:
                    self._let_go(run)
                service = self._employ(run, address, key, self._forget)
                self._attached[run] = service
                service.thread.start()
                log.event("attached", run=run, address=address, worker=service.name)
            return Attached(
                node=self.name,
                worker=service.name,
                public_key=self.keys.public,
                slots=self.slots,
                level=self.level,
                protocol=PROTOCOL_VERSION,
            )

    def detach(self, run: str) -> bool:
        """Works for this run no more; False if it was not attached."""
        with self._lock:
            if run not in self._attached:
                return False
            self._let_go(run)
        log.event("detached", run=run)
        return True

    def join(self, address: str, key: str) -> None:
        """Works for whatever run listens at an address, now and after it; until the node ends."""
        joiner = threading.Thread(
            target=self._rejoin, args=(address, key), name=f"join {address}", daemon=True
        )
        with self._lock:
            self._joiners.append(joiner)
        joiner.start()

    # Health and end ---------------------------------------------------------------------------

    def fault(self) -> str:
        """Why no slot can be started, found by starting one now and then; "" if one can."""
        good = FAILING_SECONDS if self._fault else HEALTHY_SECONDS
        stale = time.monotonic() - self._probed > good
        if stale and self._probe.acquire(blocking=False):  # one looks, the others go by the last
            try:
                self._look_at_slots()
            finally:
                self._probe.release()
        return self._fault

    def fault_now(self) -> str:
        """The same, found now."""
        with self._probe:
            self._look_at_slots()
            return self._fault

    @property
    def serving(self) -> int:
        """Runs that it works for."""
        with self._lock:
            services = [*self._attached.values(), *self._joined.values()]
        return sum(not service.over for service in services)

    def status(self, version: str) -> NodeStatus:
        """All that the node says of itself."""
        with self._lock:
            services = [*self._attached.values(), *self._joined.values()]
        return NodeStatus(
            node=self.name,
            public_key=self.keys.public,
            level=self.level,
            slots=self.slots,
            protocol=PROTOCOL_VERSION,
            version=version,
            draining=self.draining,
            runs=tuple(_describe(service) for service in services if not service.over),
            desk=DeskStatus(
                open=self.desk.open,
                most=self.desk.most,
                bundles=self.desk.bundles,
                slots=self.desk.up,
            ),
        )

    def drain(self, then: Callable[[], None] | None = None) -> None:
        """Takes nothing new, finishes what runs, brings results home; then sets `drained`.

        Args:
            then: called once from the node's own thread when that is done.
        """
        with self._lock:
            if then is not None:
                self._on_drained = then
            if self.draining:
                return
            self.draining = True
            self._drain_until = time.monotonic() + DRAIN_SECONDS
            services = [*self._attached.values(), *self._joined.values()]
        log.event("draining", runs=len(services), desk=self.desk.open)
        self.desk.refuse("the server is draining")
        for service in services:
            service.worker.terminate()

    def close(self) -> None:
        """Ends everything now; no process, thread or connection stays behind."""
        with self._lock:
            self.draining = True
            self._stopping.set()
            services = [*self._attached.values(), *self._joined.values(), *self._leaving]
            joiners = list(self._joiners)
        for service in services:
            service.worker.leave()
        self.desk.close()
        for service in services:
            service.thread.join(10.0)
        for joiner in joiners:
            joiner.join(10.0)
        if threading.current_thread() is not self._keeper:
            self._keeper.join(10.0)

    # Inside -----------------------------------------------------------------------------------

    def _real_slot(self, bundle: Bundle, index: int) -> SlotLike:
        return Slot(bundle, level=self.level, node=self.name, index=index)

    def _maker(self, way: str) -> MakeSlot:
        def make(bundle: Bundle, index: int) -> SlotLike:
            return _ObservedSlot(self._make(bundle, index), way, self._observer)

        return make

    def _employ(self, run: str, address: str, key: str, forget: float | None) -> _Service:
        name = f"{self.name}-{secrets.token_hex(4)}"
        agent = Agent(
            name,
            self.name,
            self.slots,
            pid=os.getpid(),
            prefetch=self.slots + 8,
            shelf=self._shelf,
        )
        worker = Worker(
            Link(address, Curve(self.keys, key)),
            agent,
            self._maker("fleet"),
            turnstile=self._turnstile,
            forget=forget,
        )

        def work() -> None:
            try:
                worker.run()
            except Exception:
                log.failure("worker_broke", run=run, address=address, worker=name)
            else:
                log.event("run_ended", run=run, address=address, reason=worker.ending)

        thread = threading.Thread(target=work, name=f"run {run or address}", daemon=True)
        return _Service(run, address, key, worker, name, thread)

    def _let_go(self, run: str) -> None:
        service = self._attached.pop(run)
        service.worker.terminate()
        self._leaving.append(service)

    def _rejoin(self, address: str, key: str) -> None:
        pause = SHORTEST_PAUSE
        while True:
            with self._lock:
                if self.draining or self._stopping.is_set():
                    return
                service = self._employ("", address, key, None)
                self._joined[address, key] = service
                service.thread.start()
            log.event("joining", address=address, worker=service.name)
            begun = time.monotonic()
            service.thread.join()
            # A run that lasted was no refusal: the next one there may begin soon.
            lasted = time.monotonic() - begun > LONGEST_PAUSE
            pause = SHORTEST_PAUSE if lasted else pause
            if self._stopping.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE)

    def _look_at_slots(self) -> None:
        """Starts one, and closes it again."""
        slot = self._make(script_bundle(), 0)
        try:
            slot.start()
            fault = ""
        except Exception as error:
            fault = " ".join(str(error).split()) or type(error).__name__
        finally:
            slot.close()
        if fault and fault != self._fault:
            log.warn("no_slot", reason=fault)
        self._probed, self._fault = time.monotonic(), fault

    def _reap(self) -> None:
        for run in [run for run, service in self._attached.items() if service.over]:
            del self._attached[run]
        self._leaving = [service for service in self._leaving if not service.over]

    def _keep(self) -> None:
        """The node's own thread: forgets what has ended, and sees when all has."""
        while not self._stopping.wait(LOOK_SECONDS):
            now = time.monotonic()
            with self._lock:
                self._reap()
                services = [*self._attached.values(), *self._joined.values(), *self._leaving]
            for service in services:
                trouble = service.worker.trouble
                if trouble and trouble != service.trouble:
                    service.trouble = trouble
                    log.warn("no_connection", run=service.run, reason=trouble)
            self.desk.tend(now)
            left = self.desk.open or not all(service.over for service in services)
            if self.draining and (not left or now > self._drain_until):
                break
        if not self._stopping.is_set():
            self.drained.set()
            log.event("drained")
            self._on_drained()


def _describe(service: _Service) -> RunStatus:
    told = service.worker.describe()
    return RunStatus(
        run=service.run,
        address=service.address,
        worker=service.name,
        joined=not service.run,
        state=told["state"],
        slots=told["slots"],
        busy=told["busy"],
        silent_seconds=told["silent_seconds"],
        trouble=told["trouble"],
    )
