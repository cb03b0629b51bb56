"""Brings the text of a specification to life. Runs inside the jails of programs and judges."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

NAME = "specification"


def load(text: str, file: str) -> ModuleType:
    """A module with what a specification defines.

    Raises:
        Exception: whatever its statements raise.
    """
    module = ModuleType(NAME)
    module.__file__ = file
    marks = _marks()
    sys.modules["funsearch"] = marks  # programs may carry the marks as well
    sys.modules[NAME] = module
    vars(module)["funsearch"] = marks
    exec(compile(text, file, "exec", dont_inherit=True), vars(module))
    return module


def _marks() -> ModuleType:
    """`funsearch`, whose decorators change nothing, called or plain."""

    def mark(function: Any = None, /, **_: Any) -> Any:
        return function if function is not None else mark

    marks = ModuleType("funsearch")
    vars(marks).update(run=mark, evolve=mark)
    return marks
