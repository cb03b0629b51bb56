"""Runs a specification with a program's function in the place of its own. Runs inside the jail.

The specification is loaded once in each slot, and its `prepare` called for each input; programs
find what that left behind. Where the specification has a `check`, it is not here.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Mapping
from hashlib import sha256
from types import ModuleType
from typing import Any

from environments.specification import skeleton

SCORE, HASH, SOLUTION = "score", "hash", "solution"
MOST_VALUES = 64
MOST_HASH = 200  # characters of a hash as it is; of longer ones a hash is taken
MOST_SHOWN = 60  # characters of a value in a message

# Annotations of a program may name types that nobody imports, such as `List`.
_FLAGS = annotations.compiler_flag


class _Loaded:
    """What stays the same for all programs of a slot."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self.inputs = [ast.literal_eval(text) for text in settings["inputs"]]
        self.module: ModuleType = skeleton.load(settings["text"], settings["file"])
        prepare = getattr(self.module, "prepare", None)
        if callable(prepare):
            for params in self.inputs:
                prepare(params)


_loaded: dict[str, _Loaded] = {}


def prepare(settings: dict[str, Any]) -> None:
    """Loads the specification and lets it prepare its inputs. Asked once in each slot.

    Raises:
        Exception: whatever the specification raises.
    """
    _loaded.clear()
    _loaded[settings["text"]] = _Loaded(settings)


def produce(files: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    """Calls the specification's entry for each input of a portion, or for all of them.

    Returns:
        `{"answers": [...]}`, for each input that was tried its number and what came of it; or the
        same as a claim with scores, where nobody computes them again.

    Raises:
        ValueError: if the program lacks its function, or an answer is no score.
        Exception: whatever the program raises, where every input has to succeed, or none did.
    """
    if settings["text"] not in _loaded:
        prepare(settings)
    loaded, evolve = _loaded[settings["text"]], settings["evolve"]
    file = settings["program"]
    namespace = {**vars(loaded.module), "__name__": evolve}
    namespace.pop(evolve, None)
    exec(compile(files[file], file, "exec", _FLAGS, dont_inherit=True), namespace)
    function = namespace.get(evolve)
    if not callable(function):
        raise ValueError(f"{file} defines no function {evolve}")
    setattr(loaded.module, evolve, function)
    entry = getattr(loaded.module, settings["entry"])
    answers: list[dict[str, Any]] = []
    failure: Exception | None = None
    portion = settings.get("portion")
    chosen = settings["portions"] if portion is None else [settings["portions"][portion]]
    for number in (number for part in chosen for number in part):
        try:
            answer = entry(loaded.inputs[number])
            name = f"{settings['entry']}({settings['inputs'][number][:MOST_SHOWN]})"
            answers.append({"input": number, **_read(answer, name, settings["checked"])})
        except Exception as error:
            if not settings["tolerant"]:
                raise
            failure = failure or error
    if failure is not None and not answers:
        raise failure
    return {"answers": answers} if settings["checked"] else _claim(answers)


def _read(answer: Any, name: str, checked: bool) -> dict[str, Any]:
    """Score, hash, solution and values of what the entry returned. `name` is for messages."""
    score, mark, solution, values = answer, None, None, {}
    if isinstance(answer, Mapping):
        if SCORE not in answer:
            raise ValueError(f"{name} returned a mapping without {SCORE!r}")
        score, mark, solution = answer[SCORE], answer.get(HASH), answer.get(SOLUTION)
        others = {key: value for key, value in answer.items() if key not in (SCORE, HASH, SOLUTION)}
        if len(others) > MOST_VALUES:
            raise ValueError(f"{name} returned over {MOST_VALUES} values")
        values = {str(key): _number(value, f"{name}'s {key}") for key, value in others.items()}
    elif isinstance(answer, tuple):
        if len(answer) != 2:
            raise ValueError(f"{name} returned {len(answer)} values, expected (score, hash)")
        score, mark = answer
    if checked and solution is None:
        raise ValueError(f"{name} returned no {SOLUTION!r}, from which the score is computed")
    read: dict[str, Any] = {SCORE: _number(score, f"{name}'s score"), HASH: _mark(mark, name)}
    if values:
        read["values"] = values
    if solution is not None:
        read[SOLUTION] = _plain(solution, name)
    return read


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else text[: MOST_SHOWN - 3] + "..."


def _number(value: Any, what: str) -> float:
    # Numbers of numpy have `item`; texts turn into floats as well, and are none.
    plain = value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else value
    if not isinstance(plain, int | float):
        raise ValueError(f"{what} is {_shown(value)}, not a number")
    try:
        number = float(plain)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError(f"{what} is {_shown(number)}, not a finite number")
    return number


def _mark(value: Any, name: str) -> str | None:
    plain = value.item() if hasattr(value, "item") and getattr(value, "size", 0) == 1 else value
    if plain is None:
        return None
    if isinstance(plain, str | int):
        text = hex(plain) if isinstance(plain, int) else plain
        return text if len(text) <= MOST_HASH else sha256(text.encode(errors="replace")).hexdigest()
    raise ValueError(f"{name}'s hash is {_shown(value)}, not a text, a whole number or None")


def _plain(solution: Any, name: str) -> Any:
    """A solution as JSON has it: lists for tuples and arrays, texts for keys."""
    try:
        return json.loads(json.dumps(solution, default=_array, allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"{name}'s solution is no plain data: {error}") from None


def _array(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"it holds a {type(value).__name__}")


def _claim(answers: list[dict[str, Any]]) -> dict[str, Any]:
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
