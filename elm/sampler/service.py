"""A sampler process: its connection, the threads that make parts, and when it ends."""

from __future__ import annotations

import os
import queue
import secrets
import threading
import time
import traceback
from collections.abc import Callable

import msgspec
import zmq

from elm.candidate import Proposal
from elm.dispatch.quota import one_line
from elm.sampler.base import Part
from elm.sampler.interrupts import REPEATED, Interrupts
from elm.sampler.job import Builder, Workshop, build, own_version
from elm.sampler.link import LONGEST_PAUSE, Curve, Link
from elm.sampler.local import make
from elm.sampler.member import Member
from elm.sampler.messages import Job
from elm.sampler.rank import SamplerError

LONGEST_WAIT = 0.2  # seconds between two looks at signals and at the parent
SHORTEST_PAUSE = 1.0  # seconds between two attempts where keys are refused, growing
LAST_WORDS = 1.0  # seconds for the run to hear why this sampler goes


class Outcome(msgspec.Struct, frozen=True):
    """How a sampler's service ended."""

    reason: str
    parts: int  # that it made
    busy: bool  # a thread is still making something that nobody wants any more
    interrupted: bool = False  # by a second signal


class _Threads:
    """The operator, as soon as it is built, and the threads that use it."""

    def __init__(self, builder: Builder, name: str, wake: Callable[[], None]) -> None:
        self.built: int | None = None  # its lanes
        self.failure: BaseException | None = None
        self.begun = False
        self.made: queue.SimpleQueue[tuple[str, int, tuple[Proposal, ...], float, str]]
        self.made = queue.SimpleQueue()
        self._parts: queue.SimpleQueue[tuple[str, int, Part]] = queue.SimpleQueue()
        self._builder, self._name, self._wake = builder, name, wake
        self._workshop: Workshop | None = None

    def begin(self, job: Job) -> None:
        """Starts to build."""
        self.begun = True
        threading.Thread(target=self._build, args=(job,), name="builder", daemon=True).start()

    def put(self, run: str, lease: int, part: Part) -> None:
        """Has a part made."""
        self._parts.put((run, lease, part))

    def close(self) -> None:
        """Frees what was built. Only where nothing is being made."""
        if self._workshop is not None:
            self._workshop.close()

    def _build(self, job: Job) -> None:
        try:
            self._workshop = self._builder(job)
            for lane in range(self._workshop.lanes):
                threading.Thread(target=self._work, name=f"sampler-{lane}", daemon=True).start()
            self.built = self._workshop.lanes
        except BaseException as error:  # raised by `serve`
            self.failure = error
        self._wake()

    def _work(self) -> None:
        assert self._workshop is not None
        operator = self._workshop.operator
        while True:
            run, lease, part = self._parts.get()
            made = make(operator, part, time.monotonic, self._name)
            error = "" if made.error is None else "".join(traceback.format_exception(made.error))
            self.made.put((run, lease, made.proposals, made.ended - made.started, error))
            self._wake()


def serve(
    address: str,
    *,
    name: str,
    curve: Curve | None = None,
    job: Job | None = None,
    builder: Builder = build,
    life: str | None = None,
    parent: int | None = None,
    bound: bool = False,
    over: Callable[[], bool] = lambda: False,
    say: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Makes parts for the run at an address until it is over, or a signal says so.

    Args:
        address: of the run, as ZeroMQ writes it.
        name: of this sampler, for people.
        curve: keys; None on a socket file.
        job: what is built; the run must have the same. None: whatever the run says.
        builder: makes an operator of a job.
        life: unique name of this process; None makes one.
        parent: process whose end ends this one, too; None: nobody's.
        bound: whether it lives and ends with the run, as a rank does. The first signal is then
            meant for the run, and one that cannot be reached any more is an error.
        over: says whether the run has ended for certain, where it cannot be reached.
        say: takes lines for a person.

    Raises:
        SamplerError: if the run does not take this sampler, or is gone where it is bound to it.
        ConfigError, ModelError, ValueError: if the operator cannot be built here.
    """
    life = life or f"{os.getpid()}.{secrets.token_hex(8)}"
    identity = "" if job is None else job.identity
    member = Member(life, name, os.getpid(), identity, own_version())
    link = Link(address, curve)
    threads = _Threads(builder, name, link.wake)
    merge = REPEATED if bound else 0.0
    with Interrupts(lambda count: link.wake(), merge=merge).caught() as interrupts:
        service = _Service(member, link, threads, interrupts, address, bound, over, parent, say)
        try:
            try:
                link.connect(member.address)
            except zmq.ZMQError as error:
                raise SamplerError(f"{address}: no address: {error.strerror}") from None
            if job is not None:
                threads.begin(job)
            return service.run()
        finally:
            link.close()
            if not member.busy:
                threads.close()


class _Service:
    """The loop of `serve`."""

    def __init__(
        self,
        member: Member,
        link: Link,
        threads: _Threads,
        interrupts: Interrupts,
        address: str,
        bound: bool,
        over: Callable[[], bool],
        parent: int | None,
        say: Callable[[str], None],
    ) -> None:
        self._member, self._link, self._threads = member, link, threads
        self._interrupts, self._address = interrupts, address
        self._bound, self._over, self._parent, self._say = bound, over, parent, say
        self._said = ""
        self._pause = SHORTEST_PAUSE
        self._knock = 0.0
        self._up = False
        self._lost_since: float | None = None

    def run(self) -> Outcome:
        member, link, threads = self._member, self._link, self._threads
        while True:
            for message in link.collect(min(member.pause, LONGEST_WAIT)):
                member.receive(message, time.monotonic())
            now = time.monotonic()
            ended = self._look_around(now)
            if ended is not None:
                return ended
            if member.job is not None and not threads.begun:
                threads.begin(member.job)
            self._take_what_is_there(now)
            for run, lease, part in member.begin():
                threads.put(run, lease, part)
            link.send(member.step(now))
            if member.reconnect or self._may_knock_again(now):
                member.reconnect = False
                link.connect(member.address)
            if member.left:
                return self._ended("told to leave")

    def _ended(self, reason: str, *, interrupted: bool = False) -> Outcome:
        return Outcome(reason, self._member.parts, self._member.busy, interrupted)

    def _take_what_is_there(self, now: float) -> None:
        """What the threads have finished."""
        member, threads = self._member, self._threads
        if threads.failure is not None:
            # The run is told first, for whoever looks there.
            member.failed(f"{type(threads.failure).__name__}: {threads.failure}")
            self._link.send(member.step(now))
            end = now + LAST_WORDS
            while not member.welcomed and time.monotonic() < end:
                for message in self._link.collect(0.1):
                    member.receive(message, time.monotonic())
                self._link.send(member.step(time.monotonic()))
            raise threads.failure
        if threads.built is not None:
            member.built(threads.built)
            if not self._up and member.known:
                self._up = True
                self._say(f"makes parts for the run at {self._address}")
        while True:
            try:
                run, lease, proposals, seconds, error = threads.made.get_nowait()
            except queue.Empty:
                return
            if error:
                self._say(f"the operator broke: {error}")
            member.finished(run, lease, proposals, seconds, error)

    def _may_knock_again(self, now: float) -> bool:
        """Whether it is time to show the keys again, to a run that has refused them so far."""
        if self._link.agreed:
            self._pause = SHORTEST_PAUSE
        if not self._link.refused:
            self._knock = now + self._pause
            return False
        if now < self._knock:
            return False
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return True

    # When it ends -----------------------------------------------------------------------------

    def _look_around(self, now: float) -> Outcome | None:
        member, count = self._member, self._interrupts.count
        if member.dismissed is not None:
            if member.dismissed.refused:
                raise SamplerError(f"{self._address}: {one_line(member.dismissed.reason)}")
            return self._ended(one_line(member.dismissed.reason))
        if self._parent is not None and os.getppid() != self._parent:
            return self._ended("the run's process is gone")
        if self._bound:
            return self._look_at_rank_0(count, now)
        if count >= 2:
            return self._ended("stopped at once", interrupted=True)
        if count == 1:
            if not member.welcomed and not member.busy:
                return self._ended("told to leave")
            member.leave(now)
        if self._link.trouble != self._said:
            self._said = self._link.trouble
            if self._said:
                self._say(f"{self._said}; trying again")
            elif self._up:
                self._say(f"connected to {self._address} again")
        return None

    def _look_at_rank_0(self, count: int, now: float) -> Outcome | None:
        """A rank ends with rank 0: a launcher tells all of them to stop, but rank 0 alone knows
        when the run is whole."""
        if count >= 2 or (count == 1 and not self._member.welcomed):
            return self._ended("stopped at once", interrupted=True)
        if self._link.agreed:
            self._lost_since = None
            return None
        if self._lost_since is None:
            self._lost_since = now
        if count or now - self._lost_since > self._member.patience:
            if self._over():
                return self._ended("the run is over")
            raise SamplerError(f"rank 0 at {self._address} is gone; so is this one")
        return None
