"""What travels as JSON between the HTTP server and its clients; the OpenAPI page shows it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sandbox.protocol import Bundle

Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]


class LimitChanges(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits that differ from the environment's, or from the defaults; see `protocol.Limits`."""

    cpu_seconds: float | UnsetType = UNSET
    wall_seconds: float | UnsetType = UNSET
    memory_mb: int | UnsetType = UNSET
    artifact_bytes: int | UnsetType = UNSET
    output_bytes: int | UnsetType = UNSET
    file_bytes: int | UnsetType = UNSET
    processes: int | UnsetType = UNSET


class EvaluateRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One program to be evaluated.

    With `environment` it is scored as that environment of the server's machine does, with `bundle`
    as the bundle says; with neither it is executed as a script, and its variable `result` returned.
    """

    files: Annotated[dict[str, str], Meta(min_length=1)]  # source text by file name
    environment: str | UnsetType = UNSET
    settings: dict[str, Any] = {}  # of the environment
    bundle: Bundle | UnsetType = UNSET
    seed: Seed = 0  # for `random` and numpy
    limits: LimitChanges = LimitChanges()
    preload: tuple[str, ...] = ()  # modules to import before a script starts


class AttachRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A run that asks the server to work for it."""

    run: Annotated[str, Meta(min_length=1, max_length=200)]
    address: str  # tcp://host:port of its dispatcher, as the server reaches it
    public_key: str  # of the run
    protocol: int


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """The worker that serves a run from now on."""

    node: str
    worker: str
    public_key: str  # of the server; the run lets it in
    slots: int
    level: str
    protocol: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether programs can be executed at present."""

    status: Literal["ok", "draining", "failing"]
    level: str
    slots: int
    version: str
    reason: str = ""  # why it is failing


class RunStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One run that the server works for."""

    run: str  # the name it was attached under; "" for one that the server has joined
    address: str
    worker: str
    joined: bool  # by --join
    state: str  # loading, ready, failed or draining
    slots: int
    busy: int
    silent_seconds: float  # since its dispatcher was last heard
    trouble: str  # why there is no connection, as far as that is known


class DeskStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Evaluations that were asked for over HTTP."""

    open: int  # waiting or executed now
    most: int
    bundles: int  # that slots are kept warm with
    slots: int  # that are up for them


class NodeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the server says of itself."""

    node: str
    public_key: str
    level: str
    slots: int
    protocol: int
    version: str
    draining: bool
    runs: tuple[RunStatus, ...]
    desk: DeskStatus


class Draining(msgspec.Struct, frozen=True, kw_only=True):
    """The server takes nothing new, and ends by itself."""

    status: Literal["draining"] = "draining"


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """Body of every answer that is an error."""

    code: str
    message: str
