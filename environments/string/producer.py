"""Turns a program into a line of text. Runs inside the jail."""

from __future__ import annotations

import math
from typing import Any

FILE = "string.py"
ENTRY = "make_string"
MAX_LENGTH = 1000


def produce(files: dict[str, str], settings: dict[str, Any]) -> str:
    """Runs `make_string()` of `string.py`.

    Raises:
        ValueError: if the program has no `make_string`, or it returns no line of text.
        Exception: whatever else the program raises.
    """
    namespace: dict[str, Any] = {"__name__": "string_program", "math": math}
    exec(compile(files[FILE], FILE, "exec"), namespace)
    entry = namespace.get(ENTRY)
    if not callable(entry):
        raise ValueError(f"{FILE} defines no function {ENTRY}")
    text = entry()
    if not isinstance(text, str):
        raise ValueError(f"{ENTRY} must return a string, got {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise ValueError(f"a string has at most {MAX_LENGTH} characters, got {len(text)}")
    if not text.isprintable():
        raise ValueError("a string must be one line of printable characters")
    return str(text)
