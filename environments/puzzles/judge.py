"""Asks a puzzle's checker about an answer.

The checker is a text, perhaps from a file that somebody else wrote. It is executed here and
nowhere else: a judge's process is jailed as a program's is (L3 and L2: no network, nothing to
write to, no other processes, and limits of its own; L1: the limits alone). It is compiled anew for
each answer, so that none can leave anything behind for the next in a default argument.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from typing import Any

from environments.artifact import BadArtifact
from environments.puzzles.answers import check, parse_kind, parts
from environments.puzzles.language import NAMES

UNSOLVED = 0.9  # what credit can come to short of a solution

# Annotations name types that nobody imports, such as `List`.
_FLAGS = annotations.compiler_flag
_BUILTINS = {name: getattr(builtins, name) for name in NAMES}


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fitness in [0, 1] and descriptor (size, variety) of an answer.

    Fitness is 1 where `sat(answer)` is `True`, and nothing else will do. Else it is 0.9 times the
    credit that the puzzle gives, in [0, 1]. A checker that raises is not satisfied.

    Raises:
        BadArtifact: if the answer is not of the puzzle's type, or too large.
    """
    if type(artifact) is not dict or artifact.keys() != {"answer"}:
        raise BadArtifact('expected {"answer": ...}')
    answer = artifact["answer"]
    try:
        check(answer, parse_kind(settings["kind"]))
    except (ValueError, RecursionError) as error:
        raise BadArtifact(str(error) or "nested too deep") from None
    verdict, raised = _ask(settings["sat"], "sat", answer)
    solved = verdict is True
    credit = 1.0 if solved else 0.0
    if not solved and settings["credit"]:
        credit = UNSOLVED * _share(_ask(settings["credit"], "credit", answer)[0])
    size = [(type(part).__name__, part) for part in parts(answer)]
    return {
        "fitness": credit,
        "descriptor": [
            math.log2(1 + len(size)),
            len(set(size)) / len(size) if size else 0.0,
        ],
        "metrics": {"solved": float(solved), "checker_raised": float(raised)},
    }


def _ask(text: str, name: str, answer: Any) -> tuple[Any, bool]:
    """What the function that a text defines returns, and whether it raised instead."""
    code = compile(text, "<puzzle>", "exec", _FLAGS, dont_inherit=True)
    namespace: dict[str, Any] = {"__builtins__": dict(_BUILTINS), "__name__": "puzzle"}
    exec(code, namespace)
    ask: Callable[[Any], Any] = namespace[name]
    try:
        return ask(_copy(answer)), False
    except Exception:
        return None, True  # as an index that is out of range does, or an assertion


def _copy(answer: Any) -> Any:
    """Checkers may take an answer to pieces."""
    if isinstance(answer, list):
        return [_copy(item) for item in answer]
    return {k: _copy(v) for k, v in answer.items()} if isinstance(answer, dict) else answer


def _share(value: Any) -> float:
    """A number in [0, 1]; 0 for what is none."""
    if type(value) is not float and type(value) is not int:
        return 0.0
    return min(1.0, max(0.0, float(value))) if math.isfinite(value) else 0.0
