"""Where a written function ends, and what can be kept of one that was broken off."""

from __future__ import annotations

import ast
import re

from elm.models.base import StopRule
from elm.variation.parsing import parses, statements

_QUOTED = re.compile(r"""("([^"\\]|\\.)*"|'([^'\\]|\\.)*'|#.*)""")
_SAME_LINES = 3  # in a row: the model is stuck


def brackets(line: str) -> int:
    """Brackets that a line opens, less those that it closes."""
    bare = _QUOTED.sub("", line)
    return sum(map(bare.count, "([{")) - sum(map(bare.count, ")]}"))


def end_of_line(depth: int) -> StopRule:
    """A rule that ends a completion with the line it goes on with, in which `depth` brackets are
    open already; a line in brackets goes on until they are closed.
    """

    def rule(text: str) -> int | None:
        lines = text.split("\n")
        opened, place = depth, 0
        for line in lines[:-1]:  # the last one is not complete
            opened += brackets(line)
            place += len(line) + 1
            if opened <= 0:
                return place - 1
        return None

    return rule


def end_of_function(indent: int, statements: int | None = None) -> StopRule:
    """A rule that ends a completion with the function whose body is `indent` columns deep.

    The completion goes on from inside the function, at the end of a line. It ends before a line
    that leaves the function, behind a `return` of its body, before a line that repeats the two
    before it, or once it holds `statements` whole statements of the body.
    """

    def rule(text: str) -> int | None:
        lines = text.split("\n")
        place, depth = len(lines[0]) + 1, brackets(lines[0])
        done = 0
        head = ""  # how the statement of the body that is not yet whole begins
        same, before, first_end = 1, "", 0
        for line in lines[1:-1]:  # the last one is not complete
            start, place = place, place + len(line) + 1
            bare = _QUOTED.sub('""', line).strip()
            if not bare or line.lstrip().startswith("#"):
                continue
            column = len(line) - len(line.lstrip())
            if depth <= 0:
                if column < indent:
                    return start - 1
                if column == indent and head.endswith(":"):  # the block before it is whole
                    done += 1
                    if done == statements:
                        return start - 1
                if column == indent:
                    head = bare
                if line.strip() != before:
                    same, before, first_end = 0, line.strip(), place - 1
                same += 1
                if same == _SAME_LINES:
                    return first_end
            depth = max(0, depth + brackets(line))
            # A block goes on until a line of the body follows it; other statements end here.
            if depth == 0 and head and bare.endswith(":") and column == indent:
                head = ":"
            elif depth == 0 and head and not head.endswith(":"):
                done += 1
                if done == statements or head.startswith("return"):
                    return place - 1
                head = ""
        return None

    return rule


def _returns(text: str, entry: str) -> bool:
    for node in statements(text):
        if isinstance(node, ast.FunctionDef) and node.name == entry:
            return isinstance(node.body[-1], ast.Return | ast.Raise)
    return False


def complete(begun: str, written: str, rest: str, closing: str, entry: str) -> tuple[str, str]:
    """The longest function that can be made of a completion that was broken off.

    Lines are given up from the first that does not parse; then `rest` follows, and `closing`
    where the function does not return.

    Args:
        begun: the function's text up to where the completion goes on, without a newline.
        written: the completion.
        rest: what follows it, "" or from a newline on.
        closing: the line with which the parent returns, "" if it has none.
        entry: the function's name.

    Returns:
        The function's text and, in words, what was done; the text is "" if no line of the
        completion could be kept.
    """
    lines = written.rstrip().split("\n")
    given, kept = sum(1 for line in lines if line.strip()), len(lines)
    while kept:
        part = "\n".join(lines[:kept])
        if not part.strip():
            break
        text = begun + part + rest
        error = parses(text)
        if error is None and closing and not _returns(text, entry):
            text = f"{text}\n{closing}"
            error = parses(text)
        if error is None:
            count = sum(1 for line in lines[:kept] if line.strip())
            return text, "" if text == begun + written.rstrip() + rest else (
                f"salvaged {count} of {given} lines"
            )
        # Everything from the line of the error on goes, but always at least one line.
        line = (error.lineno or 1) - 1 - begun.count("\n")
        kept = min(kept - 1, line) if line > 0 else kept - 1
    return "", ""
