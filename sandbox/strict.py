"""Reads JSON that hostile code wrote, and takes nothing that two readers could understand twice.

Refused: NaN and infinities (1e999 too), integers of more than 400 digits, a key twice in one
object, two documents, nesting over 100 deep, bytes that are not UTF-8, halves of surrogate pairs.
The common case goes through the C parser; only a document that *might* hold such a number is
parsed number by number.
"""

from __future__ import annotations

import json
import math
import re
from itertools import accumulate
from typing import Any, NoReturn

MAX_DEPTH = 100
MAX_DIGITS = 400

_SUSPECT_NUMBER = re.compile(rb"[eE]\+?\d{3}|\d{300}")
_SUSPECT_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_BRACKETS = b"[]{}"
_NOT_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))
_STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


class NotPlain(ValueError):
    """The document is not what we take; the message says why, in one line."""


def parse(document: bytes) -> Any:
    """The value of one JSON document.

    Raises:
        NotPlain: if it is not exactly one document of plain JSON.
    """
    if _depth(document) > MAX_DEPTH:
        raise NotPlain(f"nested over {MAX_DEPTH} deep")
    try:
        text = document.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotPlain(f"not UTF-8 (byte {error.start})") from None
    hooks: dict[str, Any] = {}
    if _SUSPECT_NUMBER.search(document):
        hooks = {"parse_int": _integer, "parse_float": _number}
    try:
        value = json.loads(
            text, parse_constant=_refuse_constant, object_pairs_hook=_object, **hooks
        )
    except NotPlain:
        raise
    except ValueError as error:
        raise NotPlain(f"not one JSON document: {' '.join(str(error).split())[:200]}") from None
    if _SUSPECT_ESCAPE.search(document):
        try:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
        except UnicodeEncodeError:
            raise NotPlain("a string with half of a surrogate pair") from None
    return value


def _depth(document: bytes) -> int:
    brackets = document.translate(None, _NOT_BRACKETS)
    if brackets.count(b"[") + brackets.count(b"{") <= MAX_DEPTH:
        return 0
    if b'"' in document:
        brackets = _STRING.sub(b"", document).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _refuse_constant(name: str) -> NoReturn:
    raise NotPlain(f"{name} is not a finite number")


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS + 1:
        raise NotPlain(f"an integer of more than {MAX_DIGITS} digits")
    value = int(digits)
    if abs(value) >= 10**MAX_DIGITS:
        raise NotPlain(f"an integer of more than {MAX_DIGITS} digits")
    return value


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise NotPlain(f"{text[:20]} is not a finite number")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise NotPlain("a key twice in one object")
    return result
