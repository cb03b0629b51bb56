"""Evaluations that somebody asks for one by one and waits for, as those who come by HTTP do.

A `Counter` has the slots of one bundle, started as they are needed; the `Desk` keeps the counters
used last open, so that the next program of the same bundle meets a warm slot.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from sandbox.agent import Job
from sandbox.attendant import Attendant, MakeSlot
from sandbox.protocol import Bundle, Evaluation, Status, Task
from sandbox.turnstile import Turnstile

MOST_TRIES = 3  # for a program that is lost and lost again
KILL_SECONDS = 2.0  # for slots to close before they are killed


class DeskError(Exception):
    """A program is not evaluated; one line says why."""


class Full(DeskError):
    """As many are waiting as the desk takes."""


class Closed(DeskError):
    """The desk takes nothing new, or has been closed before the program had its turn."""


class NotStarted(DeskError):
    """No slot could be started with this bundle."""


@dataclass(eq=False)
class _Errand:
    """One program that somebody waits for."""

    job: Job
    done: threading.Event = field(default_factory=threading.Event)
    evaluation: Evaluation | None = None
    failure: str = ""
    tries: int = 0


class Counter:
    """Slots of one bundle and those who wait for them. Implements `attendant.Employer`.

    Args:
        bundle: that all its slots are up with.
        make_slot: from a bundle and an index.
        turnstile: of the node.
        most: slots at most.
        tell: takes one line about a slot.
    """

    def __init__(
        self,
        bundle: Bundle,
        make_slot: MakeSlot,
        turnstile: Turnstile,
        most: int,
        tell: Callable[[str], None],
    ) -> None:
        self.bundle: Bundle | None = bundle
        self.digest = bundle.digest
        self.wanted = 0
        self.failure = ""  # why it has no slot, once none could be started
        self.used = time.monotonic()
        self._make_slot, self._turnstile, self._most = make_slot, turnstile, most
        self._tell = tell
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        self._attendants: list[Attendant] = []
        self._errands: dict[int, _Errand] = {}
        self._waiting: deque[Job] = deque()
        self._up: set[int] = set()
        self._last = 0

    @property
    def open(self) -> int:
        """Programs that wait or are executed."""
        return len(self._errands)

    @property
    def up(self) -> int:
        """Slots that take programs."""
        return len(self._up)

    def submit(self, files: dict[str, str], seed: int) -> _Errand:
        """Queues a program."""
        with self._changed:
            self._last += 1
            errand = _Errand(Job("", self._last, Task(0, self.digest, files, seed)))
            if self._stopping.is_set():
                errand.failure = self.failure or "closed"
                errand.done.set()
                return errand
            self._errands[self._last] = errand
            self._waiting.append(errand.job)
            self.used = time.monotonic()
            self.wanted = max(self.wanted, min(self._most, len(self._errands)))
            for index in range(len(self._attendants), self.wanted):
                self._attendants.append(
                    Attendant(
                        index,
                        self,
                        self._changed,
                        self._stopping,
                        self._make_slot,
                        self._turnstile,
                        lambda: None,
                    )
                )
                self._attendants[-1].start()
            self._changed.notify()
        return errand

    def stop(self, reason: str) -> None:
        """Lets its slots close by themselves; who still waits is told the reason."""
        with self._changed:
            self._fail(reason)

    def join(self, seconds: float) -> bool:
        """Waits for the slots of a stopped counter to close; whether they have."""
        deadline = time.monotonic() + seconds
        for attendant in self._attendants:
            attendant.join(max(0.0, deadline - time.monotonic()))
        return not any(attendant.is_alive() for attendant in self._attendants)

    def kill(self) -> None:
        """Ends slots that do not close."""
        for attendant in self._attendants:
            if attendant.is_alive():
                attendant.kill()

    # For attendants, who hold `changed` ---------------------------------------------------------

    def take(self, index: int) -> Job | None:
        """The next program for a slot that is up."""
        if index not in self._up or not self._waiting:
            return None
        return self._waiting.popleft()

    def slot_up(self, index: int, bundle: str, level: str, pids: dict[str, int]) -> None:
        """A slot takes programs."""
        self._up.add(index)

    def slot_down(self, index: int, bundle: str, reason: str) -> None:
        """A slot could not be started; where none is up, nobody waits for the next one."""
        self._up.discard(index)
        if not self._up:
            self._fail(" ".join(reason.split()))

    def slot_closed(self, index: int) -> None:
        """A slot has ended."""
        self._up.discard(index)

    def finish(self, job: Job, evaluation: Evaluation, *, blame: bool = True) -> None:
        """A program has been executed; where the machinery lost it, it is tried again."""
        errand = self._errands.get(job.lease)
        if errand is None:
            return
        errand.tries += 1
        if evaluation.status is Status.LOST and errand.tries < MOST_TRIES:
            self._waiting.appendleft(job)
            self._changed.notify()
            return
        del self._errands[job.lease]
        self.used = time.monotonic()
        errand.evaluation = evaluation
        errand.done.set()

    def notice(self, text: str) -> None:
        """Something that an operator may want to know."""
        self._tell(text)

    def _fail(self, reason: str) -> None:
        self.failure = self.failure or reason
        self._stopping.set()
        self._waiting.clear()
        errands, self._errands = self._errands, {}
        for errand in errands.values():
            errand.failure = reason
            errand.done.set()
        self._changed.notify_all()


class Desk:
    """Takes programs one by one. May be used by any number of threads.

    Args:
        make_slot: from a bundle and an index.
        turnstile: of the node.
        slots: of one bundle, at most.
        most: programs that may be open at one time.
        kept: bundles whose slots stay warm.
        idle: seconds after which the slots of a bundle that nobody asks for are closed.
        tell: takes one line about a slot.
    """

    def __init__(
        self,
        make_slot: MakeSlot,
        turnstile: Turnstile,
        *,
        slots: int,
        most: int,
        kept: int = 2,
        idle: float = 300.0,
        tell: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.most = most
        self.open = 0
        self._make_slot, self._turnstile, self._slots = make_slot, turnstile, slots
        self._kept, self._idle, self._tell = kept, idle, tell
        self._lock = threading.Lock()
        self._counters: OrderedDict[str, Counter] = OrderedDict()  # used last at the end
        self._ending: list[Counter] = []
        self._closed = ""

    @property
    def bundles(self) -> int:
        """That slots are kept warm with."""
        return len(self._counters)

    @property
    def up(self) -> int:
        """Slots that take programs."""
        with self._lock:
            return sum(counter.up for counter in self._counters.values())

    def evaluate(self, bundle: Bundle, files: dict[str, str], seed: int = 0) -> Evaluation:
        """Executes and judges one program; waits for its turn.

        Raises:
            Full: if too many wait already.
            Closed: if nothing new is taken, or the server stops.
            NotStarted: if no slot starts with this bundle.
        """
        with self._lock:
            if self._closed:
                raise Closed(self._closed)
            if self.open >= self.most:
                raise Full(f"{self.open} evaluations are waiting, which is as many as may")
            self.open += 1
            counter, errand = self._queue(bundle, files, seed)
        try:
            errand.done.wait()
        finally:
            with self._lock:
                self.open -= 1
                self._trim()
        if errand.evaluation is not None:
            return errand.evaluation
        if self._closed and counter.failure == self._closed:
            raise Closed(self._closed)
        raise NotStarted(errand.failure)

    def refuse(self, reason: str) -> None:
        """Takes nothing new; what is open goes on."""
        with self._lock:
            self._closed = self._closed or reason

    def tend(self, now: float) -> None:
        """Closes what nobody has used for long. To be called now and then."""
        with self._lock:
            self._trim()
            for counter in list(self._counters.values()):
                if not counter.open and now - counter.used > self._idle:
                    self._drop(counter, "idle")
            self._ending = [counter for counter in self._ending if not counter.join(0)]

    def close(self) -> None:
        """Ends everything; who still waits gets `Closed`."""
        with self._lock:
            self._closed = self._closed or "the server is stopping"
            for counter in list(self._counters.values()):
                self._drop(counter, self._closed)
            ending, self._ending = self._ending, []
        deadline = time.monotonic() + KILL_SECONDS
        for counter in ending:
            if not counter.join(max(0.1, deadline - time.monotonic())):
                counter.kill()
        for counter in ending:
            counter.join(KILL_SECONDS)

    def _queue(self, bundle: Bundle, files: dict[str, str], seed: int) -> tuple[Counter, _Errand]:
        digest = bundle.digest
        counter = self._counters.get(digest)
        if counter is not None and counter.failure:
            self._drop(counter, counter.failure)
            counter = None
        if counter is None:
            counter = Counter(bundle, self._make_slot, self._turnstile, self._slots, self._tell)
            self._counters[digest] = counter
        self._counters.move_to_end(digest)
        errand = counter.submit(files, seed)
        self._trim()
        return counter, errand

    def _trim(self) -> None:
        """Closes counters that failed, and idle ones beyond those that are kept."""
        for counter in list(self._counters.values()):
            over = len(self._counters) > self._kept and not counter.open
            if counter.failure or over:
                self._drop(counter, counter.failure or "others are used more")

    def _drop(self, counter: Counter, reason: str) -> None:
        del self._counters[counter.digest]
        counter.stop(reason)
        self._ending.append(counter)
