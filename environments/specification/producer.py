"""Runs a specification with a program's function in the place of its own. Runs inside the jail.

The specification is loaded once in each slot, and its `prepare` called for each input; programs
find what that left behind. Where the specification has a `check`, it is not here.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from environments.specification import skeleton
from environments.specification.answers import HASH, MOST_SHOWN, SCORE, SOLUTION, read

# Annotations of a program may name types that nobody imports, such as `List`.
_FLAGS = annotations.compiler_flag


class Loaded:
    """What stays the same for all programs of a slot."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.inputs = [ast.literal_eval(text) for text in settings["inputs"]]
        self.module: ModuleType = skeleton.load(settings["text"], settings["file"])
        prepare = getattr(self.module, "prepare", None)
        if callable(prepare):
            for params in self.inputs:
                prepare(params)


_loaded: dict[str, Loaded] = {}


def prepare(settings: dict[str, Any]) -> None:
    """Loads the specification and lets it prepare its inputs. Asked once in each slot.

    Raises:
        Exception: whatever the specification raises.
    """
    _loaded.clear()
    _loaded[settings["text"]] = Loaded(settings)


def skeleton_of(settings: Mapping[str, Any]) -> Loaded:
    """What the slot has loaded, or loads now."""
    if settings["text"] not in _loaded:
        prepare(dict(settings))
    return _loaded[settings["text"]]


def function_of(
    loaded: Loaded, files: Mapping[str, str], settings: Mapping[str, Any]
) -> Callable[..., Any]:
    """A program's function, defined beside all that the specification defines but its own.

    Raises:
        ValueError: if the program has no such function.
        Exception: whatever the program raises.
    """
    file, evolve = settings["program"], settings["evolve"]
    namespace = {**vars(loaded.module), "__name__": evolve}
    namespace.pop(evolve, None)
    exec(compile(files[file], file, "exec", _FLAGS, dont_inherit=True), namespace)
    function = namespace.get(evolve)
    if not callable(function):
        raise ValueError(f"{file} defines no function {evolve}")
    found: Callable[..., Any] = function
    return found


def produce(files: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    """Calls the specification's entry for each input of a portion, or for all of them.

    Returns:
        `{"answers": [...]}`, for each input that was tried its number and what came of it; or the
        same as a claim with scores, where nobody computes them again.

    Raises:
        ValueError: if the program lacks its function, or an answer is no score.
        Exception: whatever the program raises, where every input has to succeed, or none did.
    """
    loaded = skeleton_of(settings)
    setattr(loaded.module, settings["evolve"], function_of(loaded, files, settings))
    entry = getattr(loaded.module, settings["entry"])
    answers: list[dict[str, Any]] = []
    failure: Exception | None = None
    portion = settings.get("portion")
    chosen = settings["portions"] if portion is None else [settings["portions"][portion]]
    for number in (number for part in chosen for number in part):
        try:
            answer = entry(loaded.inputs[number])
            name = f"{settings['entry']}({settings['inputs'][number][:MOST_SHOWN]})"
            answers.append({"input": number, **read(answer, name, settings["checked"])})
        except Exception as error:
            if not settings["tolerant"]:
                raise
            failure = failure or error
    if failure is not None and not answers:
        raise failure
    return {"answers": answers} if settings["checked"] else claim(answers)


def claim(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """In the shape of a judge's answer, see `environments.specification.joining`."""
    found = {str(one["input"]): one for one in answers}
    solutions = {number: one[SOLUTION] for number, one in found.items() if SOLUTION in one}
    return {
        "fitness": 0.0,
        "descriptor": [],
        "scores": {number: one[SCORE] for number, one in found.items()},
        "metrics": {
            f"{number}:{key}": value
            for number, one in found.items()
            for key, value in one.get("values", {}).items()
        },
        "behaviour": json.dumps({number: one[HASH] for number, one in found.items()}),
        "artifact": {"solutions": solutions} if solutions else None,
    }
