"""Scores outputs with somebody's `score` function, in a process that no program enters."""

from __future__ import annotations

import ast
import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

from environments.artifact import BadArtifact

MAX_OUTPUTS = 100_000
_scores: dict[str, Callable[..., Any]] = {}  # by source text, each executed once


def prepare(settings: dict[str, Any]) -> None:
    """Executes the text of the score once, before any artifact."""
    _score(settings)


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """What the score says of the outputs: fitness, and its further numbers as metrics.

    The descriptor is left to `Inline.conclude`, which also sees the program's text.

    Raises:
        BadArtifact: if the artifact is no list of outputs, one for each input, or the score raises
            or returns what is no score. A score that can read no output at all fails with every
            program, the first included, and its message says so.
    """
    score = _score(settings)
    inputs = settings["inputs"]
    count = max(len(inputs), 1)
    if not isinstance(artifact, dict) or list(artifact) != ["outputs"]:
        raise BadArtifact("an artifact must be a mapping that holds outputs alone")
    outputs = artifact["outputs"]
    if not isinstance(outputs, list) or len(outputs) != count:
        raise BadArtifact(f"outputs must be a list of {count}, one for each input")
    subject = outputs if inputs else outputs[0]
    digest = hashlib.sha256(json.dumps(outputs, sort_keys=True).encode()).hexdigest()
    more = (_inputs(inputs),) if settings["sees_inputs"] else ()
    try:
        result = score(subject, *more)
    except Exception as error:  # outputs of a kind that nobody thought of
        raise BadArtifact(f"{settings['score_entry']}: {_reason(error)}") from error
    fitness, metrics = _read(result, settings["score_entry"])
    return {"fitness": fitness, "descriptor": [], "metrics": metrics, "behaviour": digest}


def _score(settings: dict[str, Any]) -> Callable[..., Any]:
    text = settings["score"]
    if text not in _scores:
        namespace: dict[str, Any] = {"__name__": "score"}
        exec(compile(text, "score", "exec"), namespace)
        _scores[text] = namespace[settings["score_entry"]]
    return _scores[text]


def _inputs(texts: list[str]) -> list[Any]:
    return [ast.literal_eval(text) for text in texts]


def _reason(error: Exception) -> str:
    line, step = None, error.__traceback__
    while step is not None:
        if step.tb_frame.f_code.co_filename == "score":
            line = step.tb_lineno
        step = step.tb_next
    text = " ".join(str(error).split())[:120]
    place = f" (line {line} of score)" if line is not None else ""
    return f"{type(error).__name__}: {text}{place}"


def _read(result: Any, name: str) -> tuple[float, dict[str, float]]:
    if not isinstance(result, dict):
        return _number(result, f"{name} returned"), {}
    values = {str(key): _number(value, f"{name}[{key!r}] is") for key, value in result.items()}
    for key in ("fitness", "score"):
        if key in values:
            return values.pop(key), values
    raise BadArtifact(f"{name} returned a mapping without 'fitness' or 'score'")


def _number(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadArtifact(f"{what} {str(value)[:40]!r}, expected a number") from None
    if isinstance(value, str) or not math.isfinite(number):
        raise BadArtifact(f"{what} {value!r}"[:60] + ", expected a finite number")
    return number
