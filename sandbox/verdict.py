"""From what was seen of an execution to its status. No processes here, only rules, in order.

The machinery's failures come first and say nothing about the program; then the limits, which are
judged by the kernel's final figures and so do not depend on how quick the watcher was; then how
the program ended; then what it returned.
"""

from __future__ import annotations

import json
import math
import signal
from typing import Any, NamedTuple

from sandbox.child import ARTIFACT, ERROR
from sandbox.protocol import Limits, Status
from sandbox.strict import NotPlain, parse
from sandbox.watch import Outcome

DETAIL_CHARACTERS = 300
_NEAR = 0.8  # of the memory limit: a crash up there is taken for a failed allocation


class Verdict(NamedTuple):
    """Status and one line; the artifact and its JSON text where there is one to be judged."""

    status: Status
    detail: str = ""
    artifact: Any = None
    document: bytes = b""
    blame: bool = True  # False where it is sure that the program has no part in a failure


def one_line(text: str) -> str:
    """Untrusted text as one short printable line."""
    joined = " ".join(text.split())
    clean = "".join(c if c.isprintable() else "?" for c in joined[: DETAIL_CHARACTERS + 1])
    return clean if len(clean) <= DETAIL_CHARACTERS else clean[: DETAIL_CHARACTERS - 3] + "..."


def of(outcome: Outcome, limits: Limits, jailed: bool) -> Verdict:
    """The verdict on one execution; `jailed` where a refusal can come from the jail."""
    if outcome.broken:
        return Verdict(Status.LOST, one_line(outcome.broken))
    return _of_limits(outcome, limits) or _of_end(outcome, limits) or _of_result(outcome, jailed)


def _of_limits(outcome: Outcome, limits: Limits) -> Verdict | None:
    if outcome.killed == "stalled":
        return Verdict(Status.LOST, "the machine is too busy to execute anything", blame=False)
    if outcome.killed == "processes":
        number = limits.processes
        what = "1 process" if number == 1 else f"{number} processes"
        return Verdict(Status.VIOLATION, f"more than {what} of its own at one time")
    if outcome.killed == "artifact":
        return Verdict(Status.OUTPUT_LIMIT, f"artifact over {limits.artifact_bytes} bytes of JSON")
    if outcome.killed == "printout":
        return Verdict(Status.OUTPUT_LIMIT, "printed far more than is kept")
    if outcome.killed == "files":
        return Verdict(Status.OUTPUT_LIMIT, "files take far more room than one may have")
    if outcome.cpu_seconds > limits.cpu_seconds or outcome.exit == -signal.SIGXCPU:
        return Verdict(Status.TIMEOUT, f"over {limits.cpu_seconds:g} s of CPU time")
    if outcome.killed == "wall":
        return Verdict(Status.TIMEOUT, f"over {limits.wall_seconds:g} s of wall-clock time")
    if outcome.killed == "cpu":
        return Verdict(Status.TIMEOUT, f"over {limits.cpu_seconds:g} s of CPU time")
    return None


def _of_end(outcome: Outcome, limits: Limits) -> Verdict | None:
    if outcome.exit >= 0:
        if outcome.document:
            return None
        return Verdict(
            Status.RUNTIME_ERROR, f"ended with exit status {outcome.exit} and without a result"
        )
    number = -outcome.exit
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    if number == signal.SIGSYS:
        return Verdict(Status.VIOLATION, "made a system call that only an attack makes")
    if number == signal.SIGKILL and not outcome.repeated:
        return Verdict(Status.LOST, "killed by SIGKILL from outside")
    if outcome.peak_mb > _NEAR * limits.memory_mb:
        return Verdict(Status.MEMORY, f"{name} near {limits.memory_mb} MB")
    return Verdict(Status.RUNTIME_ERROR, f"died of {name}")


def _of_result(outcome: Outcome, jailed: bool) -> Verdict:
    kind, document = bytes(outcome.document[:1]), bytes(outcome.document[1:])
    if kind not in (ARTIFACT, ERROR):
        return Verdict(Status.BAD_RESULT, "wrote something else than a result")
    try:
        value = parse(document)
    except NotPlain as error:
        return Verdict(Status.BAD_RESULT, one_line(str(error)))
    if kind == ARTIFACT:
        return Verdict(Status.OK, artifact=value, document=document)
    return _of_error(value if isinstance(value, dict) else {}, jailed)


def _of_error(error: dict[str, Any], jailed: bool) -> Verdict:
    """What the child says of its own failure: untrusted, and harmful to nobody else."""
    message = str(error.get("message") or "")
    detail = str(error.get("type")) + (f": {message}" if message else "")
    line, name = error.get("line"), error.get("file")
    if line is not None:
        place = one_line(f" (line {line} of {name})")
        detail = one_line(detail)[: DETAIL_CHARACTERS - len(place) - 1] + " " + place
    if error.get("memory"):
        return Verdict(Status.MEMORY, one_line(detail))
    if error.get("unfit"):
        return Verdict(Status.BAD_RESULT, one_line(detail))
    if error.get("denied") and jailed:
        return Verdict(Status.VIOLATION, one_line(detail))
    return Verdict(Status.RUNTIME_ERROR, one_line(detail))


class BadScore(ValueError):
    """The judge returned something else than a score."""


def score(result: Any) -> dict[str, Any]:
    """A judge's answer as fields of `Evaluation`.

    Raises:
        BadScore: with what is wrong with it.
    """
    if not isinstance(result, dict):
        raise BadScore(f"expected a mapping, got {type(result).__name__}")
    known = {"fitness", "descriptor", "metrics", "scores", "behaviour"}
    if not {"fitness", "descriptor"} <= result.keys() <= known:
        raise BadScore(f"expected fitness and descriptor, got {sorted(result)}")
    descriptor = result["descriptor"]
    if not isinstance(descriptor, list):
        raise BadScore(f"descriptor is {json.dumps(descriptor)[:40]}, not a list")
    behaviour = result.get("behaviour")
    if not (behaviour is None or isinstance(behaviour, str)):
        raise BadScore("behaviour is not a string")
    return {
        "fitness": _finite("fitness", result["fitness"]),
        "descriptor": tuple(_finite("descriptor", value) for value in descriptor),
        "metrics": _finite_values("metrics", result.get("metrics", {})),
        "scores": _finite_values("scores", result.get("scores", {})),
        "behaviour": behaviour,
    }


def _finite_values(name: str, values: Any) -> dict[str, float]:
    if not isinstance(values, dict):
        raise BadScore(f"{name} is not a mapping")
    return {key: _finite(f"{name}.{key}", value) for key, value in values.items()}


def _finite(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise BadScore(f"{name} is {json.dumps(value)[:40]}, not a number")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise BadScore(f"{name} is {number}, not a finite number")
    return number
