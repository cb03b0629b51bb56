"""What an environment says of itself, held against the contract. Nothing is executed.

Each function gives the problems it finds, one line each.
"""

from __future__ import annotations

import ast
import json
import math
import re
from collections.abc import Iterator
from typing import Any

from environments.base import Environment


def axes(environment: Environment) -> Iterator[str]:
    """Axes have names of their own and finite limits."""
    if not environment.axes:
        yield "there is none, expected at least one"
    names = [axis.name for axis in environment.axes]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name!r} stands there {names.count(name)} times"
    for axis in environment.axes:
        if not (math.isfinite(axis.low) and math.isfinite(axis.high) and axis.low < axis.high):
            yield f"{axis.name!r}: expected finite limits low < high, got {axis.low}..{axis.high}"
        if isinstance(axis.cells, bool) or not isinstance(axis.cells, int) or axis.cells < 1:
            yield f"{axis.name!r}: expected a whole number of cells above 0, got {axis.cells!r}"


def objective(environment: Environment) -> Iterator[str]:
    """Fitness has a finite least value, and a best one above it if any."""
    wanted = environment.objective
    if not math.isfinite(wanted.f_min):
        yield f"f_min: expected a finite number, got {wanted.f_min}"
    if wanted.f_max is not None and not wanted.f_max > wanted.f_min:
        yield f"f_max: expected above f_min={wanted.f_min:g}, got {wanted.f_max:g}"


def settings(environment: Environment) -> Iterator[str]:
    """What is sent to a sandbox is plain JSON."""
    for name in ("producer_settings", "judge_settings"):
        value: Any = getattr(environment, name)()
        try:
            same = json.loads(json.dumps(value, allow_nan=False)) == value
        except (TypeError, ValueError) as error:
            yield f"{name}(): no plain JSON: {error}"
            continue
        if not same:
            yield f"{name}(): JSON gives back something else (tuples, or keys that are no text)"


def seeds(environment: Environment) -> Iterator[str]:
    """There are programs to start from, under names of their own, and they parse."""
    given = environment.seeds()
    if not given:
        yield "seeds() gives no program, expected at least one"
    names = [seed.name for seed in given]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"{name!r} stands there {names.count(name)} times"
    for seed in given:
        for file, text in seed.program.files.items():
            try:
                if file.endswith(".py"):
                    ast.parse(text)
                elif file.endswith(".json"):
                    json.loads(text)
            except SyntaxError as error:
                yield f"{seed.name!r}: {file}, line {error.lineno}: {error.msg}"
            except ValueError as error:
                yield f"{seed.name!r}: {file}: {error}"


def prompt(environment: Environment) -> Iterator[str]:
    """What a language model is told fits the programs."""
    told = environment.prompt
    if told is None:
        return
    for seed in environment.seeds():
        text = seed.program.files.get(told.file)
        if text is None:
            yield f"file={told.file!r}: seed {seed.name!r} has only {', '.join(seed.program.files)}"
        elif f"\n{told.opening}" not in f"\n{text}":
            yield f"opening={told.opening[:60]!r}: does not stand in seed {seed.name!r}"
        elif told.entry and not re.search(rf"\b(def|class) {told.entry}\b", text):
            yield f"entry={told.entry!r}: seed {seed.name!r} defines no such function"
    if told.opening.endswith("\n"):
        yield "opening: ends with a line break, which operators add by themselves"
    weights = [weight for _, weight in told.commit_messages]
    if weights and not math.isclose(sum(weights), 1.0):
        yield f"commit_messages: their weights are {sum(weights):g} together, expected 1"
