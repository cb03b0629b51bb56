"""What an evaluator returns, as plain metrics and texts. Travels in the producer's bundle.

Evaluators return whatever they like: numpy's numbers, nested mappings, an object that holds two
mappings. Numbers become metrics; all else is text, for people and language models to read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

MAX_METRICS = 200
MAX_NAME = 80
MAX_TEXT = 4_000  # characters of one artifact
MAX_TEXTS = 16_000  # of all


class Findings(NamedTuple):
    """Metrics and texts by name; what was refused, each in one line."""

    metrics: dict[str, float]
    texts: dict[str, str]
    refused: list[str]


def findings(result: Any) -> Findings:
    """Metrics, artifacts and refusals of an evaluator's answer.

    Args:
        result: a mapping of metrics; a mapping or an object with `metrics` and perhaps
            `artifacts`; or a single number.

    Raises:
        TypeError: if it is nothing of these.
    """
    found = Findings({}, {}, [])
    if isinstance(number := _number(result), float):
        _take(found, "score", number)
        return found
    metrics, artifacts = _parts(result)
    for name, value in _flat(metrics):
        _take(found, name, value)
    room = MAX_TEXTS - sum(map(len, found.texts.values()))
    for key, value in artifacts.items():
        text = _text(value)[: max(0, min(room, MAX_TEXT))]
        room -= len(text)
        if text:
            found.texts[str(key)[:MAX_NAME]] = text
    return found


def _parts(result: Any) -> tuple[Mapping[Any, Any], Mapping[Any, Any]]:
    if isinstance(result, Mapping):
        if not isinstance(result.get("metrics"), Mapping):
            return result, {}
        metrics, artifacts = result["metrics"], result.get("artifacts")
    else:
        metrics, artifacts = getattr(result, "metrics", None), getattr(result, "artifacts", None)
    if not isinstance(metrics, Mapping):
        raise TypeError(
            "the evaluator must return a mapping of metrics, or an object that has one as "
            f"`metrics`, got {type(result).__name__}"
        )
    return metrics, artifacts if isinstance(artifacts, Mapping) else {}


def _flat(metrics: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    """Metrics with those of mappings one below, as `outer_inner`."""
    flat: list[tuple[str, Any]] = []
    for key, value in metrics.items():
        if isinstance(value, Mapping):
            flat += [(f"{key}_{inner}", below) for inner, below in value.items()]
        else:
            flat.append((str(key), value))
    return flat


def _take(found: Findings, name: str, value: Any) -> None:
    name = name[:MAX_NAME]
    number = _number(value)
    if number is None:
        found.texts[name] = _text(value)[:MAX_TEXT]
    elif not math.isfinite(number):
        found.refused.append(f"metric {name!r} is {number}")
    elif len(found.metrics) >= MAX_METRICS:
        found.refused.append(f"over {MAX_METRICS} metrics")
    else:
        found.metrics[name] = number


def _number(value: Any) -> float | None:
    """A number as a float, True and False as 1 and 0; None for what is none."""
    if not isinstance(value, bool | int | float) and getattr(value, "shape", None) == ():
        value = value.item()  # numpy's numbers, and arrays without a dimension
    if not isinstance(value, bool | int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    text = value if isinstance(value, str) else repr(value)
    return text.encode("utf-8", "replace").decode("utf-8")  # no half of a surrogate pair
