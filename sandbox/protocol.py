"""The words that the search and the sandbox share: tasks, limits, bundles, evaluations.

Everything here is frozen, typed and travels as JSON or MessagePack (`msgspec`), never as pickle.
This module imports nothing else of ours, so that the search can speak to a sandbox without
loading one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from enum import StrEnum
from typing import Any

import msgspec


class Status(StrEnum):
    """How a candidate ended: `ok`, or the exact failure. Nothing fails without one."""

    # Given by the search, before anybody executes the program.
    MODEL_ERROR = "model_error"  # the language model could not be reached or broke
    EMPTY_OUTPUT = "empty_output"  # the completion holds no program
    SYNTAX_ERROR = "syntax_error"  # the program does not parse
    NO_CHANGE = "no_change"  # canonically the same program as a parent
    PATCH_FAILED = "patch_failed"  # a diff that does not apply
    DUPLICATE = "duplicate"  # canonically a program that another candidate owns
    NOVELTY_REJECTED = "novelty_rejected"  # too near to an elite to be worth an evaluation
    # Given by the sandbox.
    OK = "ok"
    RUNTIME_ERROR = "runtime_error"  # the program raised, or died of a signal of its own making
    TIMEOUT = "timeout"  # over its CPU limit, or over the wall-clock limit behind it
    MEMORY = "memory"  # over its memory limit
    OUTPUT_LIMIT = "output_limit"  # an artifact or a printout over its size limit
    VIOLATION = "violation"  # tried what the jail forbids
    BAD_RESULT = "bad_result"  # an artifact that is not JSON, or not what the judge asks for
    JUDGE_ERROR = "judge_error"  # the judge itself broke: a defect of the environment
    # Given by the fleet.
    POISON = "poison"  # took its worker down on every attempt
    LOST = "lost"  # the machinery failed; says nothing about the program

    @property
    def is_final(self) -> bool:
        """False where the candidate is to be tried again: the failure was not the program's."""
        return self is not Status.LOST


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What one execution may use.

    CPU time is the limit that decides, since it does not depend on how busy the machine is;
    wall-clock time is the generous one behind it, for programs that sleep.
    """

    cpu_seconds: float = 2.0
    wall_seconds: float = 20.0
    memory_mb: int = 256  # on top of what the interpreter and its pre-imports need
    artifact_bytes: int = 1_000_000  # of JSON, checked before it is parsed
    output_bytes: int = 10_000  # of stdout and stderr together that are kept
    file_bytes: int = 1_000_000  # the largest file it may write
    processes: int = 0  # children alive at one time; CPU is counted of all, memory of each

    def __post_init__(self) -> None:
        for name in ("cpu_seconds", "wall_seconds", "memory_mb", "artifact_bytes"):
            if not getattr(self, name) > 0:
                raise ValueError(f"limits.{name} must be above 0, got {getattr(self, name)}")
        for name in ("output_bytes", "file_bytes", "processes"):
            if getattr(self, name) < 0:
                raise ValueError(f"limits.{name} must not be below 0, got {getattr(self, name)}")


class Scoring(StrEnum):
    """Who computes a score, and from what."""

    ARTIFACT = "artifact"  # the judge, from the plain data that the program returned
    CALLS = "calls"  # the judge, which calls the program as it goes, in batches
    # The producer, in the program's own process: nothing keeps the program from forging it. The
    # score is unverified, unless there is a judge that computes it again from the artifact.
    INSIDE = "inside"


class Code(msgspec.Struct, frozen=True):
    """Source of one side of an environment: dotted module names to text, and where to enter.

    A slot executes the producer's code and the judge's code in different processes, each of which
    is given its own `Code` and never the other's.
    """

    entry: str  # the module that holds `produce` or `judge`
    modules: dict[str, str]


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """All that a sandbox needs to evaluate candidates of one environment."""

    environment: str
    producer: Code
    judge: Code | None = None  # None only where the score is computed inside
    scoring: Scoring = Scoring.ARTIFACT
    producer_settings: dict[str, Any] = {}  # plain JSON; never an expected answer
    judge_settings: dict[str, Any] = {}
    preload: tuple[str, ...] = ()  # modules that the zygote imports once, "numpy" say
    limits: Limits = Limits()
    judge_limits: Limits = Limits(cpu_seconds=30.0, wall_seconds=120.0, memory_mb=1024)

    def __post_init__(self) -> None:
        if self.judge is None and self.scoring is not Scoring.INSIDE:
            name = self.environment
            raise ValueError(f"bundle of {name!r}: scoring {self.scoring!s} needs a judge")

    @property
    def digest(self) -> str:
        """sha256 of the content: the name under which a node keeps it."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


class Task(msgspec.Struct, frozen=True):
    """One program to be evaluated once."""

    candidate: int
    bundle: str  # digest
    files: dict[str, str]
    seed: int  # for `random` and numpy in the child; a function of the program alone
    portion: int | None = None  # which of its inputs to try, by number; None: all of them


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What came of executing one candidate, as the judge and the watcher saw it."""

    candidate: int
    status: Status
    fitness: float | None = None  # always to be maximised
    descriptor: tuple[float, ...] | None = None
    metrics: dict[str, float] = {}
    scores: dict[str, float] = {}  # per input, where an environment has several
    artifact: Any = None  # the solution as plain data, from which the judge computed the above
    behaviour: str | None = None  # the environment's hash of what the program did
    detail: str = ""  # one line: the exception or the limit that was hit
    logs: str = ""  # untrusted text, capped
    cpu_seconds: float = 0.0
    wall_seconds: float = 0.0
    peak_memory_mb: float = 0.0
    verified: bool = True  # False where program and scorer shared a process
    level: str = "L0"  # the jail it ran in
    node: str = ""


# ---------------------------------------------------------------------------------------------
# What a dispatcher and its workers say to each other: one MessagePack document per frame.
#
# The protocol is level-triggered: a worker's `Beat` says everything about its state each time, so
# that a message which is lost, doubled or late is repaired by a later one. Names after the
# "Paranoid Pirate" pattern of the ZeroMQ guide, with leases and acknowledgements added.

PROTOCOL_VERSION = 3
MAX_MESSAGE_BYTES = 64 * 1024 * 1024  # of one frame; sockets refuse more


class WorkerState(StrEnum):
    """What a worker can do at present."""

    LOADING = "loading"  # waits for a bundle, or starts its slots with it
    READY = "ready"  # at least one slot takes tasks
    FAILED = "failed"  # no slot started; `Beat.detail` says why
    DRAINING = "draining"  # finishes what runs, takes nothing new


class _Message(msgspec.Struct, frozen=True, tag=True, array_like=True):
    pass


class Hello(_Message, frozen=True):
    """Worker: here I am. Repeated until a `Welcome` comes."""

    worker: str  # one life of one worker process
    session: int  # counts its connections; each has a new socket identity
    node: str
    slots: int
    pid: int
    protocol: int = PROTOCOL_VERSION


class Welcome(_Message, frozen=True):
    """Dispatcher: you belong to this run; load this bundle."""

    run: str  # one life of one dispatcher; leases of another are void
    bundle: str  # digest
    heartbeat: float  # seconds between two beats, in both directions
    patience: float  # seconds of silence after which the other side counts as gone


class Introduce(_Message, frozen=True):
    """Dispatcher: I do not know you, or no longer; say hello."""


class Want(_Message, frozen=True):
    """Worker: send me this bundle. Repeated until it comes."""

    bundle: str  # digest


class Parcel(_Message, frozen=True):
    """Dispatcher: the bundle."""

    bundle: Bundle


class Beat(_Message, frozen=True):
    """Worker: my whole state. Sent at every heartbeat and whenever it changes."""

    run: str
    seq: int  # ascending; an older one that arrives later is ignored
    state: WorkerState
    detail: str  # one line: why it failed
    level: str  # weakest jail among its slots, "" before one is up
    slots: int  # that are up
    credit: int  # tasks it is willing to hold unfinished, in all
    holding: tuple[int, ...]  # leases: waiting, running, or finished and not acknowledged
    pids: dict[str, int]  # its processes by name
    wanted: int  # slots that it tries to have
    most: int  # slots that it may be asked to have
    load: float  # processors in demand for each that its node has
    cores: int  # processors of its node


class Pulse(_Message, frozen=True):
    """Dispatcher: I am alive."""

    run: str


class Assign(_Message, frozen=True):
    """Dispatcher: execute this. The lease is void once the dispatcher gave the task to another."""

    run: str
    lease: int
    task: Task


class Result(_Message, frozen=True):
    """Worker: what came of a lease. Repeated until an `Ack` names it.

    The artifact travels apart, as JSON text, since MessagePack has no integers above 64 bits.
    """

    run: str
    lease: int
    evaluation: Evaluation  # without its artifact
    artifact: bytes  # JSON
    blame: bool  # False where it came back untried, or surely did not cause the slot's failure

    @classmethod
    def pack(cls, run: str, lease: int, evaluation: Evaluation, blame: bool = True) -> Result:
        """Takes the artifact out of an evaluation.

        Raises:
            UnicodeEncodeError, TypeError, RecursionError: if the artifact is not JSON.
        """
        artifact = msgspec.json.encode(evaluation.artifact)
        bare = msgspec.structs.replace(evaluation, artifact=None)
        return cls(run, lease, bare, artifact, blame)

    def unpack(self) -> Evaluation:
        """The evaluation with its artifact.

        Raises:
            msgspec.DecodeError: if the artifact is not JSON.
        """
        return msgspec.structs.replace(self.evaluation, artifact=msgspec.json.decode(self.artifact))


class Ack(_Message, frozen=True):
    """Dispatcher: these leases have ended, their results are safe or void; forget them."""

    run: str
    leases: tuple[int, ...]


class Notice(_Message, frozen=True):
    """Worker: something that a person may want to know, one line. Sent once."""

    text: str


class Resize(_Message, frozen=True):
    """Dispatcher: have so many slots. Repeated until a `Beat` says that it is wanted."""

    slots: int


class Drain(_Message, frozen=True):
    """Dispatcher: finish what runs, give back what waits, then go."""


class Bye(_Message, frozen=True):
    """Either side: I go now (or: go now), for this reason."""

    reason: str


FromWorker = Hello | Want | Beat | Result | Notice | Bye
FromDispatcher = Welcome | Introduce | Parcel | Pulse | Assign | Ack | Resize | Drain | Bye
Message = FromWorker | FromDispatcher

_encode = msgspec.msgpack.Encoder().encode
_from_worker = msgspec.msgpack.Decoder(FromWorker).decode
_from_dispatcher = msgspec.msgpack.Decoder(FromDispatcher).decode


def encode(message: Message) -> bytes:
    """One frame.

    Raises:
        UnicodeEncodeError, OverflowError, RecursionError: if a value of it cannot be expressed.
    """
    return _encode(message)


def _decode(decode: Callable[[bytes], Any], frame: bytes) -> Any:
    try:
        return decode(frame)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None


def decode_from_worker(frame: bytes) -> FromWorker:
    """Raises `msgspec.DecodeError` for anything that is not a worker's message."""
    return _decode(_from_worker, frame)


def decode_from_dispatcher(frame: bytes) -> FromDispatcher:
    """Raises `msgspec.DecodeError` for anything that is not a dispatcher's message."""
    return _decode(_from_dispatcher, frame)
