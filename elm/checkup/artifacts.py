"""Artifacts that no judge should choke on: plain data of every kind, and good ones gone wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

PLAIN: tuple[Any, ...] = (
    None, True, 0, -1.5, 10**399, 1e308, "", "plain text\n", "x" * 200_000, [], {}, [None], [[]],
    [[0, 1]], ["1"] * 10, [1.0] * 9, [10**399] * 10, [[1.0] * 10], [[[0] * 3] * 32] * 32,
    {"": None}, {"outputs": None}, {"answer": None}, {"solution": None}, {"solutions": [None]},
    {"artifact": None}, "A" * 4096,
)  # fmt: skip
_OTHERS: tuple[Any, ...] = (None, "x", [], {}, -1, 1e308, 10**399, True)
MOST = 120  # made of one artifact


def spoiled(artifact: Any) -> list[Any]:
    """Copies of an artifact with one part missing, too many, or of another kind."""
    text = json.dumps(artifact)
    found: dict[str, Any] = {}
    for variant in _variants(json.loads(text), 4):
        found.setdefault(json.dumps(variant), variant)
        if len(found) > MOST:
            break
    found.pop(text, None)
    return list(found.values())[:MOST]


def _variants(value: Any, depth: int) -> Iterator[Any]:
    yield from _OTHERS
    if depth == 0:
        return
    if isinstance(value, dict):
        for key in list(value)[:8]:
            yield {k: v for k, v in value.items() if k != key}
            for other in _variants(value[key], depth - 1):
                yield {**value, key: other}
        yield {**value, "more": 1}
    elif isinstance(value, list) and value:
        yield value[:-1]
        yield [*value, value[-1]]
        for other in _variants(value[0], depth - 1):
            yield [other, *value[1:]]
