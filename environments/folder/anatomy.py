"""What evolves in the first program: the marked files of it, and the function that is asked for."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

_MARKER = re.compile(r"^[ \t]*#[ \t]*EVOLVE-BLOCK-(START|END)\b", re.MULTILINE)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def evolving(files: Mapping[str, str]) -> tuple[str, ...]:
    """The files that evolve: those with evolve blocks where there are any, else all.

    Raises:
        ValueError: if markers do not come in pairs, with file and line.
    """
    marked = tuple(name for name, text in files.items() if _blocks(name, text))
    return marked or tuple(files)


def _blocks(name: str, text: str) -> list[tuple[int, int]]:
    """The lines of the markers around each block, counted from 1."""
    found: list[tuple[int, int]] = []
    start: int | None = None
    for match in _MARKER.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if (match[1] == "START") != (start is None):
            lacking = "END" if start is not None else "START"
            raise ValueError(
                f"path: {name}, line {line}: EVOLVE-BLOCK-{match[1]}, but there is no "
                f"EVOLVE-BLOCK-{lacking} before it"
            )
        if start is not None:
            found.append((start, line))
        start = line if match[1] == "START" else None
    if start is not None:
        raise ValueError(f"path: {name}, line {start}: EVOLVE-BLOCK-START without an end")
    return found


def entry(text: str, tree: ast.Module, wanted: str | None) -> tuple[str, str] | None:
    """Name and opening of the definition that stands for the program.

    That is the one `wanted`; else the first function that begins in an evolve block, the first
    class there, or the same of the whole file. None where there is nothing of the kind.
    """
    found = [node for node in tree.body if isinstance(node, Definition)]
    if wanted is not None:
        found = [node for node in found if node.name == wanted]
    spans = _blocks("", text)

    def rank(node: Definition) -> tuple[bool, bool, int]:
        inside = any(low < node.lineno < high for low, high in spans)
        return not inside, isinstance(node, ast.ClassDef), node.lineno

    if not found:
        return None
    node = min(found, key=rank)
    return node.name, _opening(text, node)


def _opening(text: str, node: Definition) -> str:
    lines = text.splitlines()[node.lineno - 1 : node.body[0].lineno - 1]
    while lines and not lines[-1].rstrip().endswith(":"):
        lines.pop()  # comments between the signature and the body
    if lines:
        return "\n".join(line.rstrip() for line in lines)
    if isinstance(node, ast.ClassDef):
        return f"class {node.name}:"
    return f"def {node.name}({ast.unparse(node.args)}):"
