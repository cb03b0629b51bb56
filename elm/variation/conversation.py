"""The pieces of an instruction to a model that answers conversations."""

from __future__ import annotations

import re

from elm.models.base import StopRule
from elm.variation.regions import RegionError, rule
from environments.base import Prompt

PREFILL = "```python\n"  # how an answer of code alone begins, for a model that goes on with it

_TICKS = re.compile(r"`{3,}")


def fenced(code: str) -> str:
    """A program as a fenced block that no line of it can close."""
    fence = "`" * max([3, *(len(ticks) + 1 for ticks in _TICKS.findall(code))])
    return f"{fence}python\n{code.strip(chr(10))}\n{fence}"


def interface(prompt: Prompt) -> str:
    """What the program may use, "" for nothing."""
    return f"It may use this:\n{fenced(prompt.preamble)}\n\n" if prompt.preamble.strip() else ""


def freedom(prompt: Prompt, program: str) -> str:
    """One sentence that says what of a program may change."""
    try:
        said = rule(program, entry=prompt.entry, evolve=prompt.evolve)
    except RegionError:
        said = ""  # its markers are broken: what may change shows once there is a child
    return said or f"The function `{prompt.entry}` keeps its name and parameters."


def described(program: str, score: str, feedback: str) -> str:
    """A program with what is known of it."""
    parts = [fenced(program)]
    if score:
        parts.append(f"{score} (higher is better)")
    if feedback:
        parts.append(feedback)
    return "\n".join(parts)


def end_of_block(text: str) -> int | None:
    """A rule that ends an answer that was begun with `PREFILL` behind its block."""
    match = re.search(r"^```", text, re.MULTILINE)
    return match.start() if match else None


END_OF_BLOCK: StopRule = end_of_block
