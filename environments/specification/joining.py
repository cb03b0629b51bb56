"""Puts together what the portions of a candidate found: asked on the search's side.

Judge or claim say of each portion, by the number of the input: `scores`, `metrics` as
`NUMBER:NAME`, and `behaviour` as a JSON mapping of hashes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from environments.artifact import BadArtifact
from environments.base import Outcome

CLAIMED = "claimed"


class Joined(msgspec.Struct, frozen=True):
    """What is known of all inputs, by their positions."""

    scores: dict[int, float]
    values: dict[str, float]  # the mean over the inputs that have them
    claimed: dict[int, float]
    behaviour: str | None  # one hash of all hashes; None where an input has none
    solutions: dict[int, Any]


def join(
    outcomes: Sequence[Outcome], portions: Sequence[Sequence[int]], *, complete: bool
) -> Joined:
    """All portions that ended well, as one.

    Args:
        portions: positions of the inputs that each was to try.
        complete: whether all of them must have a score.

    Raises:
        BadArtifact: if a portion answers something else than it was asked.
    """
    scores: dict[int, float] = {}
    marks: dict[int, str | None] = {}
    named: dict[str, dict[int, float]] = {}
    solutions: dict[int, Any] = {}
    for outcome, asked in zip(outcomes, portions, strict=True):
        if outcome.status != "ok":
            continue
        own = {_position(key, asked): score for key, score in outcome.scores.items()}
        if complete and len(own) < len(asked):
            raise BadArtifact(f"answers {len(own)} of {len(asked)} inputs")
        scores.update(own)
        for key, value in outcome.metrics.items():
            number, found, name = key.partition(":")
            if found:  # a claim may also come with one for all
                named.setdefault(name, {})[_position(number, asked)] = value
        marks.update(_marks(outcome.behaviour, own))
        solutions.update(_solutions(outcome.artifact, own))
    claimed = named.pop(CLAIMED, {})
    return Joined(
        scores,
        {name: math.fsum(found.values()) / len(found) for name, found in named.items()},
        claimed,
        _hash(marks, scores),
        solutions,
    )


def _position(text: str, asked: Sequence[int]) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9) or int(text) not in asked:
        raise BadArtifact(f"answers input {text[:20]!r}, which it was not asked")
    return int(text)


def _marks(text: str | None, scores: Mapping[int, float]) -> dict[int, str | None]:
    try:
        found = json.loads(text or "")
    except (ValueError, RecursionError):
        found = None
    if type(found) is not dict or found.keys() != {str(number) for number in scores}:
        raise BadArtifact("the hashes are not those of its inputs")
    if any(not (mark is None or type(mark) is str) for mark in found.values()):
        raise BadArtifact("a hash is neither a text nor None")
    return {int(number): mark for number, mark in found.items()}


def _solutions(artifact: Any, scores: Mapping[int, float]) -> dict[int, Any]:
    if artifact is None:
        return {}
    if type(artifact) is dict and artifact.keys() == {"answers"}:  # its judge has seen to it
        return {answer["input"]: answer["solution"] for answer in artifact["answers"]}
    found = artifact.get("solutions") if type(artifact) is dict else None
    if type(found) is not dict or not found.keys() <= {str(number) for number in scores}:
        raise BadArtifact("the solutions are not those of its inputs")
    return {int(number): solution for number, solution in found.items()}


def _hash(marks: Mapping[int, str | None], scores: Mapping[int, float]) -> str | None:
    """Of two programs the same, if they did the same on the same inputs."""
    if not scores or any(marks.get(number) is None for number in scores):
        return None
    text = json.dumps([[number, marks[number]] for number in sorted(scores)])
    return sha256(text.encode()).hexdigest()[:32]
