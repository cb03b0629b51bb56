"""Specifications: evolve one function of a Python file that says itself how good it is.

After FunSearch (Romera-Paredes et al., "Mathematical discoveries from program search with large
language models", 2024). The file, its functions and its inputs are the user's.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from environments import settings
from environments.artifact import BadArtifact
from environments.base import Axis, Environment, Objective, Outcome, Program, Seed
from environments.specification import aggregation, descriptors, inputs, joining, reading
from environments.specification.parting import alone, without_check
from environments.specification.prompting import prompt

EACH = "inputs"
_PLACE = "environments.specification"
# Where the specification runs beside the program, and `check` elsewhere.
BESIDE = tuple(f"{_PLACE}.{name}" for name in ("producer", "answers", "skeleton"))
CHECKING = (f"{_PLACE}.judge", f"{_PLACE}.skeleton", "environments.artifact")
# Where the program's function stands alone, and the specification runs elsewhere.
ALONE = (f"{_PLACE}.apart", f"{_PLACE}.wire", *BESIDE)
ASKING = (f"{_PLACE}.evaluator", f"{_PLACE}.wire", *BESIDE, "environments.artifact")
# Failures that say nothing about a program: they never count as a failed input.
_NOT_ITS_OWN = ("lost", "judge_error")


class Specification(Environment):
    """One Python file with a function that evolves and one that evaluates it.

    `evaluate(params)` is called with each input and returns a score, `(score, hash)`, or a mapping
    with "score" and perhaps "hash", "solution" and other numbers. Where the file defines
    `check(params, solution) -> score`, it computes each score again in a process of its own, from
    the solution alone, and never stands beside a program; without it scores are unverified. Where
    it defines `prepare(params)`, that is called once in each slot for each input.

    Args:
        path: the file, or the name of a shipped specification.
        inputs: a file with one literal a line; a list; ranges by name; None for the file's INPUTS.
        combine: "zip" or "cross": how ranges are combined.
        evolve, entry: names of the functions where no mark of FunSearch says which they are.
        check: name of the function that computes a score from a solution.
        aggregate: "last", "average", "weighted", "min", "relative_difference", or an expression
            over `scores` and `inputs`.
        baseline: of "relative_difference", a score for each input.
        failures: "all": every input must succeed; "skip": those that do count; or the score of
            an input that fails. One at least has to succeed.
        descriptors: [low, high, cells] by name: code_length, tree_size, names, signature, score,
            score:POSITION, cpu_seconds, memory_mb, or a number that the specification returns.
            None: tree_size and names.
        split: how many executions the inputs are divided among, or "inputs": one for each.
        order: "given" or "size": in which order inputs are tried.
        f_min: the fixed offset of the QD score; should bound fitness from below. None: the file's
            F_MIN, or 0.
        f_max: the best possible fitness, where it is known.
        apart: whether the specification runs in the judge's process and asks the program's for
            what its function says, so that every score is verified and the function sees nothing
            but its arguments and what the first one of the file uses. Arguments and answers must
            be plain data or arrays; a call costs a tenth of a millisecond and more.

    Raises:
        ValueError: for a wrong value, naming the key, and the line where a file is wrong.
    """

    name = "specification"
    paths: ClassVar[tuple[str, ...]] = ("path", "inputs")

    def __init__(
        self,
        path: str | None = None,
        inputs: str | Sequence[Any] | Mapping[str, Any] | None = None,
        combine: str = "zip",
        evolve: str = "priority",
        entry: str = "evaluate",
        check: str = "check",
        aggregate: str = "average",
        baseline: Sequence[Any] | Mapping[str, Any] | None = None,
        failures: str | float = "all",
        descriptors: Mapping[str, Any] | None = None,
        split: int | str = 1,
        order: str = "given",
        f_min: float | None = None,
        f_max: float | None = None,
        apart: bool = False,
    ) -> None:
        for key, value in (("evolve", evolve), ("entry", entry), ("check", check)):
            if not isinstance(value, str) or not value.isidentifier():
                raise ValueError(f"environment.{key} must be the name of a function, got {value!r}")
        self._setup(
            reading.read(reading.locate(path or ""), evolve=evolve, entry=entry, check=check),
            inputs,
            settings.choice("combine", combine, ("zip", "cross")),
            apart,
        )
        self._aggregate = aggregation.build(aggregate, self._inputs, baseline)
        self._failed = self._policy(failures)
        self.axes = self._axes(descriptors)
        kinds = {axis.name for axis in self.axes}
        self.reproducible = not kinds & {"cpu_seconds", "memory_mb"}
        self.objective = _objective(
            aggregate, self._source.f_min if f_min is None else f_min, f_max
        )
        self._divide(split, settings.choice("order", order, ("given", "size")))
        self.tolerant = failures != "all"
        if apart:
            self._refuse_apart()

    def _setup(self, source: reading.Source, given: Any, combine: str, apart: bool) -> None:
        self._source, self._apart = source, apart
        self._inputs = inputs.build(given, combine, source.inputs)
        self._labels = self._inputs.labels
        self._visible = alone(source.text, source.evolve) if apart else source.text
        if not apart and source.check is not None:
            kept = (source.entry, source.evolve, reading.PREPARE)
            self._visible = without_check(source.text, source.check, kept)
        self.prompt = prompt(source, self._visible)
        self.preload = ("numpy",) if "numpy" in source.modules else ()

    def _axes(self, given: Mapping[str, Any] | None) -> tuple[Axis, ...]:
        return descriptors.build(given or descriptors.DEFAULT, len(self._inputs.values))

    @staticmethod
    def _policy(failures: Any) -> float | None:
        """The score of an input that failed, None where it has none."""
        if failures in ("all", "skip"):
            return None
        if isinstance(failures, str):
            raise ValueError(
                f"environment.failures must be all, skip or a number, got {failures!r}"
            )
        return settings.number("failures", failures, above=-1e300, at_most=1e300)

    def _divide(self, split: Any, order: str) -> None:
        count = len(self._inputs.values)
        if split != EACH and isinstance(split, str):
            raise ValueError(f"environment.split must be a number or {EACH}, got {split!r}")
        parts = settings.integer("split", count if split == EACH else split, low=1, high=1_000)
        given = inputs.order_by_size(self._inputs) if order == "size" else range(count)
        self._portions = inputs.deal(list(given), min(parts, count))
        self.portions = len(self._portions)

    def _refuse_apart(self) -> None:
        for key, differs in (("split", self.portions > 1), ("failures", self.tolerant)):
            if differs:
                raise ValueError(
                    f"environment.{key} has no other value where environment.apart is set"
                )

    @property
    def producer_modules(self) -> tuple[str, ...]:  # type: ignore[override]
        """What a program's process holds."""
        return ALONE if self._apart else BESIDE

    @property
    def judge_modules(self) -> tuple[str, ...]:  # type: ignore[override]
        """What the judge's process holds."""
        return ASKING if self._apart else CHECKING

    @property
    def scoring(self) -> str:  # type: ignore[override]
        """Who computes a score: the specification apart, its `check`, or nobody else."""
        if self._apart:
            return "calls"
        return "inside" if self._source.check is None else "artifact"

    @property
    def version(self) -> int:  # type: ignore[override]
        """Another one for another text or other inputs: their scores do not compare."""
        return zlib.crc32("\0".join((self._source.text, *self._inputs.texts)).encode())

    def seeds(self) -> list[Seed]:
        return [Seed(self._source.evolve, Program({self._file: self._source.function}))]

    @property
    def _file(self) -> str:
        return f"{self._source.evolve}.py"

    def producer_settings(self) -> dict[str, Any]:
        return {
            "text": self._visible,
            "file": self._source.file,
            "program": self._file,
            "evolve": self._source.evolve,
            "entry": self._source.entry,
            "inputs": [] if self._apart else list(self._inputs.texts),
            "portions": self._portions,
            "checked": self._source.check is not None,
            "tolerant": self.tolerant,
        }

    def judge_settings(self) -> dict[str, Any]:
        if self._apart:
            whole = {"text": self._source.text, "inputs": list(self._inputs.texts)}
            return self.producer_settings() | whole
        if self._source.check is None:
            return {}
        return {
            "text": self._source.text,
            "file": self._source.file,
            "check": self._source.check,
            "inputs": list(self._inputs.texts),
        }

    def limits(self) -> dict[str, float]:
        return {
            "cpu_seconds": 10.0,
            "wall_seconds": 60.0,
            "memory_mb": 512,
            "artifact_bytes": 4_000_000,
        }

    def parts(self) -> dict[str, Any]:
        """Without a judge, and scored inside, where the specification has no `check`."""
        if self._apart:
            limits = {"cpu_seconds": 60.0, "wall_seconds": 300.0, "memory_mb": 1024}
            return {**super().parts(), "judge_limits": limits}
        unchecked = {"judge": None} if self.scoring == "inside" else {}
        return {**super().parts(), **unchecked}

    def conclude(self, program: Program, outcomes: Sequence[Outcome]) -> Outcome:
        """Fitness, descriptor and behaviour from the scores of all inputs.

        Raises:
            BadArtifact: if inputs are missing, or the scores cannot be aggregated.
        """
        portions = self._portions if len(outcomes) == len(self._portions) else [self._all()]
        bad = [one for one in outcomes if one.status != "ok"]
        for outcome in bad:
            if outcome.status in _NOT_ITS_OWN:
                return outcome
        found = joining.join(outcomes, portions, complete=not self.tolerant)
        if not found.scores:
            if bad:
                return bad[0]
            raise BadArtifact("answers none of the inputs")
        return self._outcome(program, outcomes, found)

    def _all(self) -> list[int]:
        return list(range(len(self._inputs.values)))

    def _outcome(
        self, program: Program, outcomes: Sequence[Outcome], found: joining.Joined
    ) -> Outcome:
        scores = dict(found.scores)
        if self._failed is not None:
            scores = {number: scores.get(number, self._failed) for number in self._all()}
        fitness = self._fitness(scores)
        metrics = dict(found.values)
        if found.claimed.keys() == found.scores.keys():
            missing = {n: s for n, s in scores.items() if n not in found.claimed}
            metrics[joining.CLAIMED] = self._fitness({**found.claimed, **missing})
        if self.tolerant:
            metrics["failed_inputs"] = float(len(self._inputs.values) - len(found.scores))
        known = descriptors.Found(
            program=program,
            fitness=fitness,
            inputs=len(self._inputs.values),
            scores=scores,
            values=found.values,
            cpu_seconds=sum(one.cpu_seconds for one in outcomes),
            memory_mb=max(one.peak_memory_mb for one in outcomes),
        )
        labels = self._labels
        solutions = {labels[n]: solution for n, solution in sorted(found.solutions.items())}
        return Outcome(
            fitness=fitness,
            descriptor=descriptors.describe(self.axes, known),
            metrics=metrics,
            scores={labels[number]: scores[number] for number in sorted(scores)},
            behaviour=found.behaviour,
            artifact={"solutions": solutions} if solutions else None,
        )

    def _fitness(self, scores: Mapping[int, float]) -> float:
        """Raises BadArtifact where the scores of this program come to no number."""
        numbers = sorted(scores)
        try:
            fitness = float(self._aggregate(numbers, [scores[number] for number in numbers]))
        except (ArithmeticError, ValueError, TypeError, IndexError) as error:
            raise BadArtifact(f"environment.aggregate: {error}") from None
        if fitness != fitness or fitness in (float("inf"), float("-inf")):
            raise BadArtifact("environment.aggregate: gives no finite number")
        return fitness


def _objective(aggregate: str, f_min: float, f_max: float | None) -> Objective:
    low = settings.number("f_min", f_min, above=-1e300, at_most=1e300)
    high = None
    if f_max is not None:
        high = settings.number("f_max", f_max, above=low, at_most=1e300)
    name = "score" if not aggregate.isidentifier() else f"{aggregate} score".replace("_", " ")
    return Objective(name, f_min=low, f_max=high)
