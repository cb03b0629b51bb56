"""Inline: evolve one function, given with its score as text. What `elm.evolve` makes of both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

import msgspec

from environments.artifact import BadArtifact
from environments.base import Axis, Environment, Objective, Outcome, Program, Prompt, Seed
from environments.code import MEASURES
from environments.inline import reading

Range = Annotated[Sequence[float], msgspec.Meta(min_length=3, max_length=3)]


class Inline(Environment):
    """A function as a program of one file, and a score of what it returns.

    The jail calls the function once for each input; the score sees the plain data that came back,
    in a process of its own, hence results are verified.

    Args:
        source: text that defines the function that evolves.
        entry: its name.
        score: text that defines the score: `score(outputs)`, a list with one output for each
            input; `score(output)` where there are no inputs. With a second parameter it is given
            the inputs as well. It returns a number, or a mapping with "fitness" or "score" and
            further numbers, which become metrics. What it raises makes a program a `bad_result`.
        score_entry: its name.
        inputs: the text of a Python literal each: a tuple is the arguments of a call, anything
            else its only argument.
        descriptors: by name [low, high, cells]; code_length, tree_size, names, or a metric of the
            score. Left out: tree_size and names, with limits that leave the source room to double.
        f_min: the worst score that counts, the offset of the QD score.
        f_max: the best score there is, if known.
        instruction: what a language model is told; left out: the function's docstring.
        preamble: imports and helpers that the function may use; every program sees them, none can
            change them for another.

    Raises:
        ValueError: for a wrong value, naming the key.
    """

    name = "inline"
    version = 1
    producer_modules: ClassVar[tuple[str, ...]] = ("environments.inline.producer",)
    judge_modules: ClassVar[tuple[str, ...]] = (
        "environments.inline.judge",
        "environments.artifact",
    )

    def __init__(
        self,
        source: str,
        entry: str,
        score: str,
        score_entry: str = "score",
        inputs: Sequence[str] = (),
        descriptors: Mapping[str, Range] | None = None,
        f_min: float = 0.0,
        f_max: float | None = None,
        instruction: str = "",
        preamble: str = "",
    ) -> None:
        function = reading.read("source", source, entry)
        judging = reading.read("score", score, score_entry)
        reading.parse("preamble", preamble)
        calls = [reading.read_input(number, text) for number, text in enumerate(inputs)] or [()]
        for number, arguments in enumerate(calls):
            if not function.least <= len(arguments) <= function.most:
                where = f"inputs[{number}]" if inputs else "inputs"
                signature = " ".join(function.opening[4:-1].split())
                raise ValueError(
                    f"environment.{where}: {signature} cannot be called with "
                    f"{len(arguments)} arguments"
                )
        if judging.least > 2 or judging.most < 1:
            raise ValueError(
                f"environment.score: {score_entry!r} takes the outputs, and if it likes the inputs"
            )
        self._entry = entry
        self._seed = Program({f"{entry}.py": function.text})
        self._producer = {"entry": entry, "inputs": list(inputs), "preamble": preamble}
        self._judge = {
            "score": judging.text,
            "score_entry": score_entry,
            "inputs": list(inputs),
            "sees_inputs": judging.least == 2 or (bool(inputs) and judging.most >= 2),
        }
        self.preload = reading.imported("source", [function.text])
        self.preload = tuple(sorted({*self.preload, *reading.imported("preamble", [preamble])}))
        reading.imported("score", [judging.text])
        self.axes = _axes(descriptors or _room(self._seed))
        self.objective = _objective(f_min, f_max)
        self.prompt = Prompt(
            instruction=instruction or function.summary or f"Improve the function {entry}.",
            file=f"{entry}.py",
            entry=entry,
            opening=_start(function.text, function.opening),
            preamble=preamble,
        )

    def seeds(self) -> list[Seed]:
        return [Seed(self._entry, self._seed)]

    def producer_settings(self) -> dict[str, Any]:
        return dict(self._producer)

    def judge_settings(self) -> dict[str, Any]:
        return dict(self._judge)

    def parts(self) -> dict[str, Any]:
        """With less for the judge than it has by default: an output may make a score slow."""
        limits = {"cpu_seconds": 10.0, "wall_seconds": 60.0, "memory_mb": 1024}
        return {**super().parts(), "judge_limits": limits}

    def conclude(self, program: Program, outcomes: Sequence[Outcome]) -> Outcome:
        """Adds the descriptor: of the program's text, or from the score's metrics."""
        (outcome,) = outcomes
        values = []
        for axis in self.axes:
            if axis.name in MEASURES:
                values.append(MEASURES[axis.name](program))
            elif axis.name in outcome.metrics:
                values.append(outcome.metrics[axis.name])
            else:
                known = ", ".join([*MEASURES, *outcome.metrics])
                raise BadArtifact(f"the score gave no {axis.name!r} for a descriptor, only {known}")
        return msgspec.structs.replace(outcome, descriptor=tuple(values))


def _start(text: str, opening: str) -> str:
    """All that stands before the function's body: imports that a source brings along, too."""
    return text[: text.index(opening) + len(opening)]


def _room(program: Program) -> dict[str, Sequence[float]]:
    """Limits that depend on nothing but the first program."""

    def high(name: str, least: int, step: int) -> int:
        return max(least, step * math.ceil(2 * MEASURES[name](program) / step))

    return {
        "tree_size": (0.0, high("tree_size", 200, 100), 20),
        "names": (0.0, high("names", 30, 15), 15),
    }


def _axes(descriptors: Mapping[str, Sequence[float]]) -> tuple[Axis, ...]:
    axes = []
    for name, (low, high, cells) in descriptors.items():
        key = f"environment.descriptors.{name}"
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"{key}: expected limits low < high, got {low:g} and {high:g}")
        if cells != int(cells) or cells < 1:
            raise ValueError(f"{key}: expected a whole number of cells above 0, got {cells:g}")
        axes.append(Axis(name, float(low), float(high), int(cells)))
    return tuple(axes)


def _objective(f_min: float, f_max: float | None) -> Objective:
    if not math.isfinite(f_min):
        raise ValueError(f"environment.f_min must be a finite number, got {f_min}")
    if f_max is not None and not f_min < f_max < math.inf:
        raise ValueError(f"environment.f_max must be above f_min={f_min:g}, got {f_max:g}")
    return Objective("score", f_min=f_min, f_max=f_max)
