"""Makes the most of what a model wrote: keeps the statements that can work, where they stand."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Collection

from elm.variation.completion import complete
from elm.variation.names import defined, stray
from elm.variation.parsing import statements
from elm.variation.shapes import Begun


def _statements(text: str, first: int, last: int) -> list[tuple[int, int]]:
    """Lines (from, to), counted from 0, of the function's own statements within some lines."""
    body = statements(text)[0]
    assert isinstance(body, ast.FunctionDef)
    spans = [(s.lineno - 1, s.end_lineno or s.lineno) for s in body.body]
    return [(a, b) for a, b in spans if a >= first and b <= last]


def repair(
    begun: Begun, written: str, closing: str, entry: str, known: Collection[str]
) -> tuple[str, str]:
    """The child's function, and in words what was done to the completion; "" if it is past help.

    In this order: lines that do not parse are given up; what stands behind a `return` that the
    model wrote goes; statements of the parent that were replaced come back where the rest needs
    their names; statements of the model that read a name which nobody defines are given up.

    Args:
        begun: what stands around the completion.
        closing: the line with which the parent returns, "" if it has none.
        known: names that are there without the function.
    """
    text, note = complete(begun.text, written, begun.rest, closing, entry)
    if not text or not parses_as_one_function(text):
        return text, note
    notes = [note] if note else []
    first = begun.text.count("\n") + 1
    tail = begun.rest.count("\n")
    lines = text.split("\n")
    if not text.endswith(begun.rest):
        tail += 1 + closing.count("\n")  # the closing lines follow the rest
    for start, end in _statements(text, first, len(lines) - tail):
        if tail and lines[start].lstrip().startswith("return"):
            lines, tail = lines[:end], 0
            notes.append("dropped what followed its return")
            break
    replaced = list(begun.replaced)
    for _ in range(len(lines)):
        text = "\n".join(lines)
        missing = stray(text, known)
        if not missing:
            break
        place = len(lines) - tail
        back = [part for part in replaced if defined(textwrap.dedent(part)) & missing.keys()]
        if back:
            replaced.remove(back[0])
            lines[place:place] = back[0].split("\n")
            notes.append("brought back a statement")
            continue
        bad = {line - 1 for line in missing.values()}
        spans = _statements(text, first, place)
        drop = [(a, b) for a, b in spans if any(a <= line < b for line in bad)]
        if not drop or len(drop) == len(spans):
            break
        del lines[drop[0][0] : drop[0][1]]
        notes.append("dropped a statement with an unknown name")
    return "\n".join(lines), ", ".join(dict.fromkeys(notes))


def parses_as_one_function(text: str) -> bool:
    """Whether a text is one function and nothing else."""
    body = statements(text)
    return len(body) == 1 and isinstance(body[0], ast.FunctionDef)
