"""From what a client asks to be evaluated to a bundle, held against what the server grants."""

from __future__ import annotations

import functools
from typing import Any

import msgspec
from msgspec import UNSET

from environments.base import registry
from environments.construct import suggestion
from sandbox.bundles import environment_bundle, script_bundle
from sandbox.protocol import Bundle, Evaluation, Limits, Status
from sandbox.web.messages import EvaluateRequest, LimitChanges
from sandbox.web.refusals import Refusal

_JUDGE_DEFAULT = script_bundle().judge_limits


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """The highest limits that a client may ask for, by the names of `protocol.Limits`."""

    cpu_seconds: float = 300.0
    wall_seconds: float = 300.0
    memory_mb: int = 4096
    artifact_bytes: int = 16_000_000
    output_bytes: int = 1_000_000
    file_bytes: int = 100_000_000
    processes: int = 16


def bundle_for(asked: EvaluateRequest, grant: Grant) -> Bundle:
    """The bundle to evaluate with.

    Raises:
        Refusal: if there is none such, or it wants more than is granted.
    """
    changes = _changes(asked.limits)
    if asked.environment is not UNSET and asked.bundle is not UNSET:
        raise Refusal("bad_request", "environment and bundle: give one of them, not both")
    if asked.environment is UNSET and asked.settings:
        raise Refusal("bad_request", "settings: need an environment that takes them")
    script = asked.environment is UNSET and asked.bundle is UNSET
    if asked.preload and not script:
        raise Refusal("bad_request", "preload: only scripts take this; a bundle has its own")
    if asked.environment is not UNSET:
        bundle = _of_environment(str(asked.environment), asked.settings, changes)
    elif asked.bundle is not UNSET:
        assert isinstance(asked.bundle, Bundle)
        bundle = _limited(asked.bundle, changes)
        _check_code(bundle)
    else:
        if len(asked.files) != 1:
            raise Refusal("bad_request", f"files: a script is one file, got {len(asked.files)}")
        bundle = _limited(script_bundle(preload=asked.preload), changes)
    _hold("limits", bundle.limits, grant, None)
    _hold("judge_limits", bundle.judge_limits, grant, _JUDGE_DEFAULT)
    return bundle


def as_json(evaluation: Evaluation) -> bytes:
    """The evaluation as JSON, or one that says why it has none."""
    try:
        return msgspec.json.encode(evaluation)
    except (UnicodeEncodeError, OverflowError, TypeError, RecursionError) as error:
        reason = " ".join(f"result cannot be sent: {error}".split())[:300]
        plain = Evaluation(
            candidate=evaluation.candidate,
            status=Status.BAD_RESULT,
            detail=reason.encode("utf-8", "replace").decode(),
            cpu_seconds=evaluation.cpu_seconds,
            wall_seconds=evaluation.wall_seconds,
            peak_memory_mb=evaluation.peak_memory_mb,
            level=evaluation.level,
            node=evaluation.node,
        )
        return msgspec.json.encode(plain)


def _changes(limits: LimitChanges) -> dict[str, Any]:
    given: dict[str, Any] = msgspec.to_builtins(limits)
    return given


def _limited(bundle: Bundle, changes: dict[str, Any]) -> Bundle:
    if not changes:
        return bundle
    try:
        limits = Limits(**(msgspec.structs.asdict(bundle.limits) | changes))
    except ValueError as error:
        raise Refusal("bad_limits", str(error)) from None
    return msgspec.structs.replace(bundle, limits=limits)


def _of_environment(name: str, settings: dict[str, Any], changes: dict[str, Any]) -> Bundle:
    known = registry()
    if name not in known:
        raise Refusal(
            "unknown_environment",
            f"environment: this server has no {name[:80]!r}, but {', '.join(sorted(known))}"
            f"{suggestion(name, known)}",
        )
    try:
        document = msgspec.json.encode(settings, order="deterministic")
        bundle = _plain_environment(name, document)
    except Refusal:
        raise
    except Exception as error:  # an environment may raise anything for what it cannot take
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise Refusal("bad_settings", reason) from None
    return _limited(bundle, changes)


@functools.lru_cache(maxsize=64)
def _plain_environment(name: str, settings: bytes) -> Bundle:
    return environment_bundle(name, msgspec.json.decode(settings))


def _check_code(bundle: Bundle) -> None:
    for role, code in (("producer", bundle.producer), ("judge", bundle.judge)):
        if code is not None and code.entry not in code.modules:
            raise Refusal(
                "bad_bundle", f"bundle.{role}.entry: {code.entry[:80]!r} is not among its modules"
            )


def _hold(where: str, limits: Limits, grant: Grant, granted: Limits | None) -> None:
    """Raises Refusal for a limit above what is granted."""
    for name in Limits.__struct_fields__:
        most = getattr(grant, name)
        if granted is not None:  # an operator's own environments keep their judge's time
            most = max(most, getattr(granted, name))
        if getattr(limits, name) > most:
            raise Refusal(
                "bad_limits",
                f"{where}.{name}: this server grants at most {most:g}, got "
                f"{str(getattr(limits, name))[:40]}",
            )
