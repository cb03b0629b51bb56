"""The sampler's side of the protocol as a state machine: messages and time in, messages out.

It has no socket, no thread and no clock; `elm.sampler.service` is the shell around it.
"""

from __future__ import annotations

from collections import OrderedDict

from elm.candidate import Proposal
from elm.sampler.base import Part
from elm.sampler.messages import (
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
    Work,
)

HELLO_SECONDS = 1.0  # between two, until a welcome comes
PATIENCE = 10.0  # seconds of silence, before the run has said its own
REMEMBERED = 10_000  # leases that have ended and are not begun again, should they come twice


class Member:
    """One sampler process, as far as its run is concerned.

    Args:
        life: of this process; no other has it.
        name: for people.
        pid: of this process.
        identity: digest of the settings that it expects; "" takes any.
        elm: version of this installation.

    Attributes:
        job: what is to be built, once the run has said it.
        reconnect: set where the connection is to be opened anew, under `address`; the shell clears
            it.
        dismissed: why the run does not want it any more.
        left: everything is made and said; the process may end.
        parts: how many it has made.

    The shell calls `receive` for each message, then `step`, at least every half heartbeat, and
    sends what that returns; it makes what `begin` returns.
    """

    def __init__(self, life: str, name: str, pid: int, identity: str, elm: str) -> None:
        self.life, self.session = life, 1
        self.job: Job | None = None
        self.reconnect = False
        self.dismissed: Bye | None = None
        self.left = False
        self.parts = 0
        self._name, self._pid, self._identity, self._elm = name, pid, identity, elm
        self._state, self._detail = SamplerState.LOADING, ""
        self._lanes = 1
        self._run = ""
        self._introduced = False  # the run knows this connection
        self._heartbeat, self._patience = HELLO_SECONDS, PATIENCE
        self._heard: float | None = None
        self._next_hello = self._next_beat = 0.0
        self._seq = 0
        self._changed = False  # a beat is due at once
        self._waiting: OrderedDict[int, Part] = OrderedDict()
        self._making: set[int] = set()
        self._made: dict[int, Done] = {}
        self._resend: dict[int, float] = {}  # when what was made is said again
        self._ended: OrderedDict[int, None] = OrderedDict()
        self._leaving_since: float | None = None
        self._outbox: list[FromSampler] = []

    @property
    def address(self) -> str:
        """Identity of the present connection."""
        return f"{self.life}.{self.session}"

    @property
    def known(self) -> bool:
        """Whether the run knows this sampler at present, as far as can be told."""
        return self._introduced

    @property
    def welcomed(self) -> bool:
        """Whether a run has ever known it."""
        return bool(self._run)

    @property
    def pause(self) -> float:
        """Seconds between two calls of `step`, at most."""
        return self._heartbeat / 2

    @property
    def patience(self) -> float:
        """Seconds of silence after which the run counts as gone."""
        return self._patience

    @property
    def busy(self) -> bool:
        """Whether something is being made, or not yet taken by the run."""
        return bool(self._making or self._made)

    # From the shell ---------------------------------------------------------------------------

    def built(self, lanes: int) -> None:
        """Says that the operator is there."""
        if self._state is SamplerState.LOADING:
            self._state, self._lanes, self._changed = SamplerState.READY, lanes, True

    def failed(self, detail: str) -> None:
        """Says that the operator cannot be had here."""
        self._state, self._detail, self._changed = SamplerState.FAILED, detail, True

    def begin(self) -> list[tuple[str, int, Part]]:
        """Parts to be begun now, each with its run and lease."""
        if self._state is not SamplerState.READY:
            return []
        begun = []
        while self._waiting and len(self._making) < self._lanes:
            lease, part = self._waiting.popitem(last=False)
            self._making.add(lease)
            begun.append((self._run, lease, part))
        return begun

    def finished(
        self, run: str, lease: int, proposals: tuple[Proposal, ...], seconds: float, error: str = ""
    ) -> None:
        """Says that a part is made."""
        if run != self._run or lease not in self._making:
            return  # it became void meanwhile
        self._making.discard(lease)
        self.parts += not error
        self._made[lease] = Done(run, lease, proposals, seconds, error)
        self._resend[lease] = float("-inf")
        self._changed = True

    def leave(self, now: float) -> None:
        """Takes nothing new, and goes when everything is made and said."""
        if self._leaving_since is None:
            self._leaving_since = now
            self._waiting.clear()
            self._state, self._changed = SamplerState.LEAVING, True

    # From the network -------------------------------------------------------------------------

    def receive(self, message: FromRun, now: float) -> None:
        """Takes one message of the run."""
        self._heard = now
        match message:
            case Welcome():
                self._welcomed(message)
            case Introduce():
                self._introduced = False
                self._next_hello = 0.0
            case Pulse():
                if message.run != self._run:
                    self._introduced = False
            case Work():
                self._take(message)
            case Ack():
                if message.run == self._run:
                    for lease in message.leases:
                        self._forget(lease)
            case Leave():
                self.leave(now)
            case Bye():
                self.dismissed = message

    def step(self, now: float) -> list[FromSampler]:
        """What is to be said now."""
        if self._heard is None:
            self._heard = now
        if self._leaving_since is not None and self._may_go(now):
            self.left = True
            return [Bye("it was told to leave")] if self._introduced else []
        if self._introduced and now - self._heard > self._patience:
            self._introduced = False
            self.reconnect = True
            self.session += 1
            self._heard = now
        if not self._introduced:
            if now >= self._next_hello:
                self._next_hello = now + min(self._heartbeat, HELLO_SECONDS)
                self._outbox.append(
                    Hello(
                        self.life,
                        self.session,
                        self._name,
                        self._pid,
                        self._lanes,
                        self._identity,
                        self._elm,
                    )
                )
        else:
            self._speak(now)
        outbox, self._outbox = self._outbox, []
        return outbox

    # Inside -----------------------------------------------------------------------------------

    def _welcomed(self, message: Welcome) -> None:
        if self.job is not None and message.job.identity != self.job.identity:
            self.dismissed = Bye("another run is at this address now; start another sampler for it")
            return
        if message.run != self._run:
            self._run = message.run
            self._waiting.clear()
            self._making.clear()
            self._made.clear()
            self._resend.clear()
            self._ended.clear()
        self.job = message.job
        self._heartbeat, self._patience = message.heartbeat, message.patience
        self._introduced = self._changed = True

    def _take(self, work: Work) -> None:
        lease = work.lease
        known = lease in self._waiting or lease in self._making or lease in self._made
        if (
            work.run != self._run
            or known
            or lease in self._ended
            or self._leaving_since is not None
        ):
            return
        self._waiting[lease] = work.unpack()
        self._changed = True

    def _forget(self, lease: int) -> None:
        self._waiting.pop(lease, None)
        self._making.discard(lease)  # its proposals are dropped when they come
        self._made.pop(lease, None)
        self._resend.pop(lease, None)
        self._ended[lease] = None
        if len(self._ended) > REMEMBERED:
            self._ended.popitem(last=False)

    def _may_go(self, now: float) -> bool:
        assert self._leaving_since is not None and self._heard is not None
        if not self.busy:
            return True
        # Nobody listens any more: what is made is made again by others.
        return not self._making and now - max(self._heard, self._leaving_since) > self._patience

    def _speak(self, now: float) -> None:
        for lease, done in self._made.items():
            if now >= self._resend[lease]:
                self._resend[lease] = now + 2 * self._heartbeat
                self._outbox.append(done)
        if self._changed or now >= self._next_beat:
            self._changed = False
            self._next_beat = now + self._heartbeat
            self._seq += 1
            holding = (*self._waiting, *self._making, *self._made)
            self._outbox.append(
                Beat(self._run, self._seq, self._state, self._detail, self._lanes, holding)
            )
