"""What a run and its samplers say to each other: one MessagePack document per frame.

Like that of the sandboxes, the protocol is level-triggered: a sampler's `Beat` says everything
about its state each time, so that a message which is lost, doubled or late is repaired by a later
one. No setting holds a secret: keys of vendors come from each sampler's own environment.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec

from elm.candidate import Elite, Proposal
from elm.sampler.base import Part
from elm.variation.base import Order, Sketch

PROTOCOL_VERSION = 1
MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # of one frame; sockets refuse more
MOST_HELD = 10_000  # leases that one beat may name


class SamplerState(StrEnum):
    """What a sampler can do at present."""

    LOADING = "loading"  # builds its environment, its model and its operator
    READY = "ready"
    FAILED = "failed"  # they cannot be had here; `Beat.detail` says why
    LEAVING = "leaving"  # finishes what it makes, takes nothing new


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a sampler needs to build the run's operator, and to know that it is the same one."""

    environment: dict[str, Any]  # sections of the run's settings, plain data
    model: dict[str, Any]
    variation: dict[str, Any]
    environment_version: str
    identity: str  # digest of all that decides the archive


class _Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    pass


class Hello(_Message, frozen=True):
    """Sampler: here I am. Repeated until a `Welcome` comes."""

    life: str  # one life of one sampler process
    session: int  # counts its connections; each has a new socket identity
    name: str  # for notices and the journal
    pid: int
    lanes: int  # parts that it makes at one time, as far as it knows yet
    identity: str  # digest that it expects; "" where it takes the run's settings as they are
    elm: str  # version
    protocol: int = PROTOCOL_VERSION


class Welcome(_Message, frozen=True):
    """Run: you belong to us; this is what you are to build."""

    run: str  # one life of one run; leases of another are void
    job: Job
    heartbeat: float  # seconds between two beats, in both directions
    patience: float  # seconds of silence after which the other side counts as gone


class Introduce(_Message, frozen=True):
    """Run: I do not know you, or no longer; say hello."""


class Beat(_Message, frozen=True):
    """Sampler: my whole state. Sent at every heartbeat and whenever it changes."""

    run: str
    seq: int  # ascending; an older one that arrives later is ignored
    state: SamplerState
    detail: str  # one line: why it failed
    lanes: int
    holding: tuple[int, ...]  # leases: waiting, being made, or made and not acknowledged


class Pulse(_Message, frozen=True):
    """Run: I am alive."""

    run: str


class WireOrder(msgspec.Struct, frozen=True, array_like=True):
    """An `Order` whose parents and crowd are numbers of what the message holds once."""

    parents: tuple[int, ...]
    seed: int
    operator: str
    model: str
    crowd: int  # -1: none


class Work(_Message, frozen=True):
    """Run: make this part. The lease is void once the run gave the part to another."""

    run: str
    lease: int
    block: int
    index: int
    elites: tuple[Elite, ...]  # without their artifacts
    crowds: tuple[tuple[Sketch, ...], ...]
    orders: tuple[WireOrder, ...]

    @classmethod
    def pack(cls, run: str, lease: int, part: Part) -> Work:
        """Says each elite and each crowd once, however many orders name it."""
        elites: dict[int, int] = {}  # candidate id to number
        kept: list[Elite] = []
        crowds: dict[tuple[Sketch, ...], int] = {}
        orders = []
        for order in part.orders:
            numbers = []
            for elite in order.parents:
                number = elites.setdefault(elite.candidate.id, len(kept))
                if number == len(kept):
                    kept.append(without_artifact(elite))
                numbers.append(number)
            crowd = crowds.setdefault(order.crowd, len(crowds)) if order.crowd else -1
            orders.append(WireOrder(tuple(numbers), order.seed, order.operator, order.model, crowd))
        block, index = part.block, part.index
        return cls(run, lease, block, index, tuple(kept), tuple(crowds), tuple(orders))

    def unpack(self) -> Part:
        """The part.

        Raises:
            msgspec.ValidationError: if an order names what the message does not hold.
        """
        orders = []
        for order in self.orders:
            if not all(0 <= number < len(self.elites) for number in order.parents):
                raise msgspec.ValidationError("an order has a parent that the message lacks")
            if not -1 <= order.crowd < len(self.crowds):
                raise msgspec.ValidationError("an order has a crowd that the message lacks")
            parents = tuple(self.elites[number] for number in order.parents)
            crowd = self.crowds[order.crowd] if order.crowd >= 0 else ()
            orders.append(Order(parents, order.seed, order.operator, order.model, crowd))
        return Part(self.block, self.index, tuple(orders))


class Done(_Message, frozen=True):
    """Sampler: what came of a lease. Repeated until an `Ack` names it."""

    run: str
    lease: int
    proposals: tuple[Proposal, ...]
    seconds: float  # that it took
    error: str = ""  # what the operator itself raised, where it broke


class Ack(_Message, frozen=True):
    """Run: these leases have ended, their proposals are here or void; forget them."""

    run: str
    leases: tuple[int, ...]


class Leave(_Message, frozen=True):
    """Run: finish what you make, then go."""


class Bye(_Message, frozen=True):
    """Either side: I go now (or: go now), for this reason."""

    reason: str
    refused: bool = False  # from the run: you cannot belong to it as you are


FromSampler = Hello | Beat | Done | Bye
FromRun = Welcome | Introduce | Pulse | Work | Ack | Leave | Bye

_encode = msgspec.msgpack.Encoder().encode
_from_sampler = msgspec.msgpack.Decoder(FromSampler).decode
_from_run = msgspec.msgpack.Decoder(FromRun).decode


def without_artifact(elite: Elite) -> Elite:
    """An elite as operators see it: no solution artifact, which may be large."""
    if elite.evaluation.artifact is None:
        return elite
    bare = msgspec.structs.replace(elite.evaluation, artifact=None)
    return Elite(elite.candidate, bare)


def encode(message: FromSampler | FromRun) -> bytes:
    """One frame.

    Raises:
        ValueError: if a value of it cannot be expressed, or it is too large; one line.
    """
    try:
        frame = _encode(message)
    except (UnicodeEncodeError, OverflowError, RecursionError, TypeError) as error:
        raise ValueError(f"{type(message).__name__} cannot be sent: {error}") from None
    if len(frame) > MAX_MESSAGE_BYTES:
        raise ValueError(
            f"{type(message).__name__} of {len(frame)} bytes cannot be sent: at most "
            f"{MAX_MESSAGE_BYTES}; make model.micro_batch or batch_size smaller"
        )
    return frame


def _decode(decode: Callable[[bytes], Any], frame: bytes) -> Any:
    try:
        return decode(frame)
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        if isinstance(error, msgspec.DecodeError):
            raise
        raise msgspec.DecodeError(str(error)) from None


def decode_from_sampler(frame: bytes) -> FromSampler:
    """Raises `msgspec.DecodeError` for anything that is not a sampler's message."""
    return _decode(_from_sampler, frame)


def decode_from_run(frame: bytes) -> FromRun:
    """Raises `msgspec.DecodeError` for anything that is not a run's message."""
    return _decode(_from_run, frame)
