"""The run's side of the protocol as a state machine: messages and time in, messages out.

It has no socket, no thread and no clock, so that a simulator can drive it through any schedule of
loss, delay, doubling, crash and return. `elm.sampler.hub` is the shell around it. (Credits and
heartbeats after the Paranoid Pirate pattern of the ZeroMQ guide, as in `elm.dispatch.broker`.)

Parts are handed out in the order in which they were submitted, to whoever is free. What a sampler
had when it fell silent goes to others, before anything that was submitted later. What it still
says of it afterwards is dropped: there is one maker of each part that counts.

The run's own process is one more sampler here: it has a seat, and never falls silent.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from elm.candidate import Proposal
from elm.dispatch.quota import Quota, one_line
from elm.sampler.base import Part
from elm.sampler.messages import (
    MOST_HELD,
    PROTOCOL_VERSION,
    Ack,
    Beat,
    Bye,
    Done,
    FromRun,
    FromSampler,
    Hello,
    Introduce,
    Job,
    Leave,
    Pulse,
    SamplerState,
    Welcome,
)

SEAT = b""  # the address of the run's own process
MOST_SAMPLERS = 1000
MOST_LANES = 4096  # of one sampler
MOST_FAULTS = 3  # things that no sampler does, before one is sent away
MOST_BREAKS = 2  # times that an operator may break on a part, wherever that was
NOBODY_AFTER = 5.0  # seconds without any sampler before a person is told


class Hand(msgspec.Struct, frozen=True):
    """A part for a sampler, before it is packed."""

    lease: int
    part: Part


class Finished(msgspec.Struct, frozen=True):
    """What came of a part; `error` where the operator itself broke."""

    part: Part
    proposals: tuple[Proposal, ...]
    seconds: float
    sampler: str
    error: BaseException | str | None = None
    ended: float | None = None  # on the run's clock, where its own process made it


class BrokenOperator(RuntimeError):
    """An operator broke on samplers elsewhere; says what it raised there."""


@dataclass(order=True)
class _Item:
    """A part on its way. Those that wait are ordered by when they were submitted."""

    number: int
    part: Part = field(compare=False)
    breaks: int = field(default=0, compare=False)


@dataclass
class _Lease:
    item: _Item
    sent: float


@dataclass
class _Sampler:
    """What is known of one sampler."""

    life: str
    session: int
    peer: bytes
    name: str  # within the run: no two that are known share one
    pid: int
    lanes: int
    heard: float
    next_pulse: float
    seq: int = 0
    state: SamplerState = SamplerState.LOADING
    detail: str = ""
    leases: dict[int, _Lease] = field(default_factory=dict)
    given: int = 0  # when it was last given something, counted in leases
    leaving: bool = False  # was told to leave
    faults: int = 0

    @property
    def free(self) -> int:
        """Parts that it would begin at once."""
        ready = self.state is SamplerState.READY and not self.leaving
        return self.lanes - len(self.leases) if ready else 0


class Desk:
    """Hands parts to samplers and brings each of them home exactly once.

    Args:
        run: name of this life of the run; leases of another one are void.
        job: what samplers build.
        elm: version that samplers must have.
        heartbeat: seconds between two beats.
        patience: seconds of silence after which a sampler counts as gone.
        parts: that can be under way at one time, as far as the run's settings go; 0: unknown.

    Attributes:
        notices: what a person may want to know, one line each.
        counts: of what happened, by name.

    The shell calls `receive` for each message, and then `step`, at least every `heartbeat / 2`
    seconds; it sends what `step` returns, and collects with `collect` and from `notices`.
    """

    def __init__(
        self,
        run: str,
        job: Job,
        *,
        elm: str = "",
        heartbeat: float = 1.0,
        patience: float = 10.0,
        parts: int = 0,
    ) -> None:
        self.run, self.job = run, job
        self.heartbeat, self.patience = heartbeat, patience
        self.notices: list[str] = []
        self.counts: Counter[str] = Counter()
        self._elm = elm
        self._parts = parts
        self._told_lanes = 0
        self._queue: list[_Item] = []
        self._numbers = itertools.count()
        self._lease_numbers = itertools.count(1)
        self._finished: list[Finished] = []
        self._samplers: dict[str, _Sampler] = {}
        self._peers: dict[bytes, str] = {}
        self._outbox: list[tuple[bytes, FromRun | Hand]] = []
        self._barred: dict[str, None] = {}  # lives that were sent away, oldest first
        self._quota = Quota()
        self._now = self._stepped = 0.0
        self._nobody_since: float | None = None
        self._told_nobody = False

    # From and to the run ----------------------------------------------------------------------

    def seat(self, name: str, lanes: int) -> None:
        """Takes the run's own process among the samplers."""
        self._samplers[name] = _Sampler(
            name, 0, SEAT, name, 0, lanes, 0.0, float("inf"), state=SamplerState.READY
        )
        self._peers[SEAT] = name

    def submit(self, parts: Sequence[Part]) -> None:
        """Queues parts behind all others."""
        for part in parts:
            heapq.heappush(self._queue, _Item(next(self._numbers), part))

    def collect(self) -> list[Finished]:
        """Parts that are made, since the last call; each exactly once."""
        finished, self._finished = self._finished, []
        return finished

    def withdraw(self) -> list[Part]:
        """Takes back what nobody makes, in its order."""
        taken, self._queue = sorted(self._queue), []
        return [item.part for item in taken]

    # From the network -------------------------------------------------------------------------

    def receive(self, peer: bytes, message: FromSampler, now: float) -> None:
        """Takes one message of a sampler."""
        self._now = now
        if isinstance(message, Hello):
            self._greet(peer, message, now)
            return
        sampler = self._samplers.get(self._peers.get(peer, ""))
        if sampler is None or peer == SEAT:
            self.counts["strangers"] += 1
            if not isinstance(message, Bye):
                self._send(peer, Introduce())
            return
        sampler.heard = now
        match message:
            case Beat():
                self._update(sampler, message, now)
            case Done():
                self._done(sampler, message)
            case Bye():
                self._lose(sampler, f"left: {one_line(message.reason)}")

    def finish(self, lease: int, made: Finished) -> None:
        """Says that the run's own process has made a part."""
        seat = self._samplers[self._peers[SEAT]]
        seat.leases.pop(lease)
        self._finished.append(made)

    def garbled(self, peer: bytes, now: float) -> None:
        """Says that a frame was no message."""
        self._now = now
        self.counts["garbled"] += 1
        sampler = self._samplers.get(self._peers.get(peer, ""))
        if sampler is not None:
            self._fault(sampler, "it sends frames that are no messages")

    def unsendable(self, peer: bytes, lease: int, reason: str) -> None:
        """Says that a part cannot be sent to anybody: the run has to end."""
        sampler = self._samplers.get(self._peers.get(peer, ""))
        if sampler is None or lease not in sampler.leases:
            return  # it was given back meanwhile
        item = sampler.leases.pop(lease).item
        self._finished.append(Finished(item.part, (), 0.0, sampler.name, reason))

    def tell(self, line: str, source: str = "") -> None:
        """Puts a line among the notices, unless its source has said too much already."""
        admitted = self._quota.admit(line, source, self._now)
        if admitted is not None:
            self.notices.append(admitted)

    def vanished(self, life: str, reason: str) -> None:
        """Says that a sampler is certainly gone."""
        sampler = self._samplers.get(life)
        if sampler is not None:
            self._lose(sampler, reason)

    def release(self, life: str) -> None:
        """Asks a sampler to finish what it makes, and go."""
        sampler = self._samplers.get(life)
        if sampler is not None:
            sampler.leaving = True
            self._send(sampler.peer, Leave())

    def step(self, now: float) -> list[tuple[bytes, FromRun | Hand]]:
        """Ends what has waited too long, hands out parts; returns what is to be sent, to whom."""
        self._now = now
        if now - self._stepped > self.patience / 2:
            for sampler in self._samplers.values():
                sampler.heard = now  # this process was stopped: nobody could be heard
        self._stepped = now
        for sampler in list(self._samplers.values()):
            if sampler.peer == SEAT:
                continue
            if now - sampler.heard > self.patience:
                self._lose(sampler, f"silent for {self.patience:g} s")
            elif now >= sampler.next_pulse:
                sampler.next_pulse = now + self.heartbeat
                self._send(sampler.peer, Leave() if sampler.leaving else Pulse(self.run))
        self._hand_out(now)
        self._watch_nobody(now)
        outbox, self._outbox = self._outbox, []
        return outbox

    # What can be seen of it -------------------------------------------------------------------

    @property
    def peers(self) -> list[bytes]:
        """Addresses of all samplers on the network."""
        return [peer for peer in self._peers if peer != SEAT]

    @property
    def queued(self) -> int:
        """Orders that nobody makes yet."""
        return sum(len(item.part.orders) for item in self._queue)

    @property
    def lanes(self) -> int:
        """Parts that can be made at one time right now."""
        return sum(s.lanes for s in self._samplers.values() if s.state is SamplerState.READY)

    @property
    def resident(self) -> str:
        """The run's own process among the samplers; "" where it has no seat."""
        return self._peers.get(SEAT, "")

    def knows(self, life: str) -> bool:
        """Whether this sampler belongs to the run."""
        return life in self._samplers

    def status(self) -> list[dict[str, Any]]:
        """Plain data about all samplers."""
        return [
            {
                "life": each.life,
                "name": each.name,
                "pid": each.pid,
                "state": str(each.state),
                "detail": each.detail,
                "lanes": each.lanes,
                "making": len(each.leases),
                "silent": max(0.0, self._now - each.heard) if each.peer != SEAT else 0.0,
            }
            for each in self._samplers.values()
        ]

    # Inside: samplers -------------------------------------------------------------------------

    def _greet(self, peer: bytes, hello: Hello, now: float) -> None:
        refusal = self._refusal_of(hello)
        if refusal:
            self._send(peer, Bye(refusal, refused=True))
            return
        sampler = self._samplers.get(hello.life)
        if sampler is None:
            lanes = max(1, min(hello.lanes, MOST_LANES))
            name = self._name(one_line(hello.name, 64) or "?", now)
            sampler = _Sampler(
                hello.life, hello.session, peer, name, hello.pid, lanes, now, now + self.heartbeat
            )
            self._samplers[hello.life] = sampler
        elif hello.session < sampler.session or sampler.peer == SEAT:
            return  # sent over a connection that the sampler has given up since
        before = self._samplers.get(self._peers.get(peer, ""))
        if before is not None and before is not sampler:
            self._lose(before, "another sampler took its connection")
        self._peers.pop(sampler.peer, None)
        sampler.peer, sampler.session, sampler.heard = peer, hello.session, now
        self._peers[peer] = sampler.life
        self._welcome(sampler)

    def _refusal_of(self, hello: Hello) -> str:
        """Why a sampler cannot belong to this run, "" where it can."""
        name = one_line(hello.name, 64)
        if hello.protocol != PROTOCOL_VERSION or hello.elm != self._elm:
            reason = (
                f"sampler {name} is elm {one_line(hello.elm, 40)} (protocol {hello.protocol}), "
                f"this run {self._elm} (protocol {PROTOCOL_VERSION}): install the same version"
            )
        elif hello.identity and hello.identity != self.job.identity:
            reason = (
                f"sampler {name} was started with other settings than this run: give all ranks "
                "the same command line"
            )
        elif hello.life in self._barred:
            return "this sampler was sent away; start another"
        elif hello.life in self._samplers or len(self._samplers) < MOST_SAMPLERS:
            return ""
        else:
            reason = f"sampler {name} is one too many: a run takes {MOST_SAMPLERS}"
        self.tell(reason, f"sampler {name}")
        return reason

    def _name(self, name: str, now: float) -> str:
        """The name that a sampler gives itself, or a variant where another one has it already."""
        taken = {sampler.name: sampler for sampler in self._samplers.values()}
        holder = taken.get(name)
        if holder is not None and holder.peer != SEAT and now - holder.heard > 2 * self.heartbeat:
            # Started anew, most likely: why wait until the silence of the old one is long?
            self._lose(holder, "another sampler of its name has come")
            return name
        if holder is None:
            return name
        return next(other for n in itertools.count(2) if (other := f"{name}#{n}") not in taken)

    def _welcome(self, sampler: _Sampler) -> None:
        self._send(sampler.peer, Welcome(self.run, self.job, self.heartbeat, self.patience))

    def _update(self, sampler: _Sampler, beat: Beat, now: float) -> None:
        if beat.run != self.run:
            self._welcome(sampler)
            return
        if beat.seq <= sampler.seq:
            return
        if len(beat.holding) > MOST_HELD:
            self._fault(sampler, f"it says that it holds {len(beat.holding)} parts")
            return
        was = sampler.state
        sampler.seq, sampler.state = beat.seq, beat.state
        sampler.lanes = max(1, min(beat.lanes, MOST_LANES))
        sampler.detail = one_line(beat.detail, 300)
        if sampler.state is SamplerState.READY and was is not SamplerState.READY:
            lanes = f", {sampler.lanes} lanes" if sampler.lanes > 1 else ""
            self._tell_of(sampler, f"is up{lanes}")
            self._tell_of_idle()
        elif sampler.state is SamplerState.FAILED and was is not SamplerState.FAILED:
            self._tell_of(sampler, f"cannot start: {sampler.detail}")
        void = tuple(number for number in beat.holding if number not in sampler.leases)
        if void:
            self._send(sampler.peer, Ack(self.run, void))
        # What it does not hold was lost on its way, or is still under way: the same lease twice
        # is one for a sampler.
        holding = set(beat.holding)
        for number, lease in sampler.leases.items():
            if number not in holding and now - lease.sent > 2 * self.heartbeat:
                self.counts["sent again"] += 1
                lease.sent = now
                self._send(sampler.peer, Hand(number, lease.item.part))

    def _tell_of_idle(self) -> None:
        """Says where more can be made at one time than the run's settings let anybody make."""
        lanes = self.lanes
        if self._parts and lanes > max(self._parts, self._told_lanes):
            self._told_lanes = lanes
            self.tell(
                f"samplers can make {lanes} parts at one time, but only {self._parts} can be under "
                "way: raise lookahead, or batch_size above the model's micro_batch"
            )

    def _fault(self, sampler: _Sampler, what: str) -> None:
        """Counts something that no sampler does; after a few it has to go."""
        sampler.faults += 1
        if sampler.faults >= MOST_FAULTS:
            self._send_away(sampler, what)

    def _send_away(self, sampler: _Sampler, why: str) -> None:
        self._send(sampler.peer, Bye(why, refused=True))
        self._barred[sampler.life] = None
        if len(self._barred) > MOST_SAMPLERS:
            del self._barred[next(iter(self._barred))]
        self._lose(sampler, f"is sent away: {why}")

    def _lose(self, sampler: _Sampler, reason: str) -> None:
        self.counts["lost samplers"] += 1
        count = len(sampler.leases)
        again = f"; others make what it had ({count} part{'s' * (count > 1)})" if count else ""
        for lease in sampler.leases.values():
            heapq.heappush(self._queue, lease.item)
        del self._samplers[sampler.life]
        if self._peers.get(sampler.peer) == sampler.life:
            del self._peers[sampler.peer]
        self._tell_of(sampler, f"{reason}{again}")

    def _tell_of(self, sampler: _Sampler, text: str) -> None:
        self.tell(f"sampler {sampler.name} {text}", f"sampler {sampler.name}")

    def _watch_nobody(self, now: float) -> None:
        """Says where parts wait, and nobody is there to make them."""
        if not self._queue or self.lanes:
            if self._told_nobody and self.lanes:
                self.tell("a sampler is up again")
            if self.lanes:
                self._nobody_since, self._told_nobody = None, False
            return
        if self._nobody_since is None:
            self._nobody_since = now
        if now - self._nobody_since >= NOBODY_AFTER and not self._told_nobody:
            self._told_nobody = True
            loading = sum(s.state is SamplerState.LOADING for s in self._samplers.values())
            reasons = [s.detail for s in self._samplers.values() if s.detail]
            reason = reasons[0] if reasons else f"{loading} loading"
            self.tell(f"no sampler is up ({reason}); the run waits for one")

    # Inside: parts ----------------------------------------------------------------------------

    def _done(self, sampler: _Sampler, done: Done) -> None:
        lease = sampler.leases.get(done.lease) if done.run == self.run else None
        self._send(sampler.peer, Ack(done.run, (done.lease,)))
        if lease is None:
            self.counts["stale"] += 1  # of an older run, or of a lease that has ended
            return
        item = lease.item
        if done.error:
            self._broke(sampler, item, done)
            return
        if len(done.proposals) != len(item.part.orders):
            self._fault(sampler, f"{len(done.proposals)} proposals for {len(item.part.orders)}")
            if done.lease in sampler.leases:
                del sampler.leases[done.lease]
                heapq.heappush(self._queue, item)
            return
        del sampler.leases[done.lease]
        seconds = max(0.0, done.seconds) if done.seconds == done.seconds else 0.0
        self._finished.append(Finished(item.part, done.proposals, seconds, sampler.name))

    def _broke(self, sampler: _Sampler, item: _Item, done: Done) -> None:
        """An operator broke: its machine may be to blame, so another one tries before the run
        ends."""
        item.breaks += 1
        last = one_line(done.error.strip().splitlines()[-1] if done.error.strip() else "?", 300)
        if item.breaks >= MOST_BREAKS:
            error = BrokenOperator(f"on sampler {sampler.name}: {done.error[:20_000]}")
            del sampler.leases[done.lease]
            self._finished.append(Finished(item.part, (), done.seconds, sampler.name, error))
        self._send_away(sampler, f"its operator broke: {last}")

    def _hand_out(self, now: float) -> None:
        """Gives the oldest part to the sampler that has the least to do, until nobody is free."""
        samplers = self._samplers.values()
        idle = [(len(s.leases) / s.lanes, s.given, s.life) for s in samplers if s.free > 0]
        heapq.heapify(idle)
        while self._queue and idle:
            _, _, life = heapq.heappop(idle)
            sampler = self._samplers[life]
            item = heapq.heappop(self._queue)
            number = next(self._lease_numbers)
            sampler.leases[number] = _Lease(item, now)
            sampler.given = number
            self._send(sampler.peer, Hand(number, item.part))
            if sampler.free > 0:
                heapq.heappush(idle, (len(sampler.leases) / sampler.lanes, sampler.given, life))

    def _send(self, peer: bytes, message: FromRun | Hand) -> None:
        self._outbox.append((peer, message))
