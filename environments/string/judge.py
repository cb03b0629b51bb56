"""Scores a line of text by its likeness to a target, which nobody else knows."""

from __future__ import annotations

from typing import Any

from environments.artifact import BadArtifact

MAX_LENGTH = 1000


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fitness in [0, 1] and descriptor (length, distinct characters) of a text.

    Fitness is 1 - d/n, with the Levenshtein distance d and the length n of the longer text.

    Raises:
        BadArtifact: if it is no line of printable characters, or too long a one.
    """
    if not isinstance(artifact, str):
        raise BadArtifact(f"a text must be a string, got {type(artifact).__name__}")
    if len(artifact) > MAX_LENGTH:
        raise BadArtifact(f"a text has at most {MAX_LENGTH} characters, got {len(artifact)}")
    if not artifact.isprintable():
        raise BadArtifact("a text must be one line of printable characters")
    target = settings["target"]
    distance = levenshtein(artifact, target)
    return {
        "fitness": 1.0 - distance / max(len(artifact), len(target)),
        "descriptor": [float(len(artifact)), float(len(set(artifact)))],
        "metrics": {"distance": float(distance)},
    }


def levenshtein(a: str, b: str) -> int:
    """The least number of insertions, deletions and replacements that turn `a` into `b`."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        diagonal, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (x != y))
    return row[-1]
