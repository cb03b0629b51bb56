"""Code that a model left out, with a remark or dots in its place.

A child that reads `# ... rest unchanged` parses, and lacks half of its parent. Such an answer is
refused, since nobody but the model knows what belongs there.
"""

from __future__ import annotations

import ast
import re
from collections import Counter

from elm.variation.regions.base import BROKEN
from environments.parsing import parse

_CODE = (
    r"(?:code|functions?|program|file|script|implementation|methods?|class|logic|body|lines?"
    r"|statements?|parts?|imports|definitions?)"
)
_SAME = r"(?:unchanged|unmodified|same|as before|as above|omitted|identical|untouched)"
_OLD = r"(?:rest|remaining|remainder|existing|previous|original|other|more)"
_REMARKS = (
    r"[\[(<]?[ \t]*(?:\.\.\.|…)",  # "... whatever"
    rf".*\b(?:{_OLD}|{_SAME}|{_CODE})\b.*(?:\.\.\.|…)[ \t]*[\])>]?$",  # "the rest of it ..."
    r"(?:the[ \t]+)?(?:rest|remainder)[ \t]+of[ \t]+(?:(?:the|your|this)[ \t]+)?(?:\w+[ \t]+)?"
    rf"{_CODE}\b",
    rf"(?:the[ \t]+)?(?:existing|previous|original|other|remaining)[ \t]+{_CODE}"
    rf"(?:[ \t]+(?:here|above|below|goes here|(?:remains?|stays?|is|are)\b.*|{_SAME}))?\.?$",
    rf"(?:the[ \t]+)?{_CODE}[ \t]+(?:remains?|stays?|is|are)[ \t]+(?:the[ \t]+)?{_SAME}\b",
    rf"[\[(<][ \t]*(?:{_SAME}|same .*)[ \t]*[\])>]$",  # "(unchanged)"
)
_REMARK = re.compile(rf"[ \t]*\#[ \t]*(?:{'|'.join(_REMARKS)})", re.IGNORECASE)
_MOST = 300  # characters of a line that are looked at


def elision(parent: str, child: str) -> str:
    """Where a child leaves out code that its parent does not leave out, in words; "" if nowhere."""
    known = Counter(_remarks(parent).values()) if "#" in parent else Counter()
    for line, text in _remarks(child).items():
        known[text] -= 1
        if known[text] < 0:
            return f"line {line} leaves code out: {text[:80]!r}"
    if "..." not in child:
        return ""
    dots = _dots(child)
    if len(dots) > len(_dots(parent)):
        return f"line {dots[-1]} leaves code out: '...'"
    return ""


def _remarks(text: str) -> dict[int, str]:
    return {
        number: line.strip()
        for number, line in enumerate(text.split("\n"), 1)
        if "#" in line and _REMARK.match(line[:_MOST].rstrip())
    }


def _dots(text: str) -> list[int]:
    """Lines of statements that are nothing but dots, save where Python asks for them."""
    if "..." not in text:
        return []
    try:
        stack: list[ast.AST] = [parse(text)]
    except BROKEN:
        return []
    found = []
    while stack:
        node = stack.pop()
        if isinstance(node, ast.ClassDef) and any("Protocol" in ast.dump(b) for b in node.bases):
            continue
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and any(
            "overload" in ast.dump(d) or "abstract" in ast.dump(d) for d in node.decorator_list
        ):
            continue
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            if node.value.value is Ellipsis:
                found.append(node.lineno)
            continue
        stack.extend(
            child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)
        )
    return sorted(found)
