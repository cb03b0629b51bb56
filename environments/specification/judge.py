"""Computes scores again, from solutions alone, with the specification's `check`.

Runs in a process of its own that no program ever enters, and holds the whole specification.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from environments.artifact import BadArtifact
from environments.specification import skeleton

MOST_MESSAGE = 150
MOST_HASH = 1_000
FIELDS = {"input", "score", "hash", "solution"}


class _Loaded:
    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.inputs = [ast.literal_eval(text) for text in settings["inputs"]]
        self.module: ModuleType = skeleton.load(settings["text"], settings["file"])


_loaded: dict[str, _Loaded] = {}


def prepare(settings: dict[str, Any]) -> None:
    """Loads the specification. Asked once in each slot.

    Raises:
        Exception: whatever its statements raise.
    """
    _loaded.clear()
    _loaded[settings["text"]] = _Loaded(settings)


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Scores by input number, for as many inputs as the artifact answers.

    Whether these are all that should be there is seen by whoever joins the portions, as are fitness
    and descriptor; here both are empty. What the program claims is kept as `NUMBER:claimed`.

    Raises:
        BadArtifact: if the artifact is no list of answers, or `check` says that a solution is none
            by raising ValueError or AssertionError.
    """
    if settings["text"] not in _loaded:
        prepare(settings)
    loaded = _loaded[settings["text"]]
    if type(artifact) is not dict or artifact.keys() != {"answers"}:
        raise BadArtifact('expected {"answers": [...]}')
    if type(artifact["answers"]) is not list or not artifact["answers"]:
        raise BadArtifact("expected a list of answers, one for each input")
    scores: dict[str, float] = {}
    metrics: dict[str, float] = {}
    marks: dict[str, str | None] = {}
    for answer in artifact["answers"]:
        number = _input(answer, len(loaded.inputs))
        if number in scores:
            raise BadArtifact(f"input {number} is answered twice")
        claimed, mark = answer["score"], answer["hash"]
        if not _is_number(claimed):
            raise BadArtifact(f"input {number}: the claimed score is not a finite number")
        if mark is not None and (type(mark) is not str or len(mark) > MOST_HASH):
            raise BadArtifact(f"input {number}: the hash is no text")
        marks[number] = mark
        found = _checked(loaded, settings["check"], int(number), answer["solution"])
        scores[number] = found.pop("score")
        metrics[f"{number}:claimed"] = float(claimed)
        metrics.update({f"{number}:{key}": value for key, value in found.items()})
        values = answer.get("values", {})
        if type(values) is not dict or not all(_is_number(value) for value in values.values()):
            raise BadArtifact(f"input {number}: values are not finite numbers")
        metrics.update({f"{number}:claimed {key}": float(v) for key, v in values.items()})
    return {
        "fitness": 0.0,
        "descriptor": [],
        "scores": scores,
        "metrics": metrics,
        "behaviour": json.dumps(marks),
    }


def _input(answer: Any, count: int) -> str:
    if type(answer) is not dict or not FIELDS <= answer.keys() <= FIELDS | {"values"}:
        raise BadArtifact(f"expected answers of {', '.join(sorted(FIELDS))}")
    number = answer["input"]
    if type(number) is not int or not 0 <= number < count:
        raise BadArtifact(f"there are {count} inputs, and this is the number of none of them")
    return str(number)


def _is_number(value: Any) -> bool:
    if type(value) not in (int, float):
        return False
    try:
        return math.isfinite(float(value))
    except OverflowError:
        return False


def _checked(loaded: _Loaded, check: str, number: int, solution: Any) -> dict[str, float]:
    """What `check` says of a solution: its score, and other numbers by their names."""
    try:
        found = getattr(loaded.module, check)(loaded.inputs[number], solution)
    except (ValueError, AssertionError) as error:
        reason = " ".join(str(error).split())[:MOST_MESSAGE] or type(error).__name__
        raise BadArtifact(f"input {number}: {reason}") from None
    except Exception as error:
        if type(error).__name__ != "BadArtifact":
            raise
        raise BadArtifact(f"input {number}: {str(error)[:MOST_MESSAGE]}") from None
    values = dict(found) if isinstance(found, Mapping) else {"score": found}
    if "score" not in values:
        raise TypeError(f"{check} returned a mapping without 'score'")
    return {str(key): _number(value, check, str(key)) for key, value in values.items()}


def _number(value: Any, check: str, key: str) -> float:
    plain = value.item() if hasattr(value, "item") else value
    if not isinstance(plain, int | float) or not math.isfinite(plain):
        raise TypeError(f"{check} returned {key} {str(value)[:40]!r}, not a finite number")
    return float(plain)
