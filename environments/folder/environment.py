"""Folders: evolve a first program that somebody else's evaluator scores.

The format is OpenEvolve's, which others share: `initial_program.py` with EVOLVE-BLOCK comments,
`evaluator.py` with `evaluate(program_path)`, and perhaps `config.yaml`.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, ClassVar

import msgspec

from environments.artifact import BadArtifact
from environments.base import (
    Axis,
    Environment,
    Objective,
    Outcome,
    Program,
    Prompt,
    Seed,
    read_modules,
)
from environments.folder import anatomy, descriptors, reading, recipe
from environments.folder.imports import CLOCK, NETWORK, PROCESSES, reached
from environments.folder.sources import Sources

MAX_DETAIL = 300  # characters of what an evaluator says that a prompt may show

_PREFERRED = ("combined_score", "score")  # as fitness, where no setting names a metric


class _Correct(msgspec.Struct, frozen=True):
    correct: bool
    error: str


class _Claim(msgspec.Struct, frozen=True):
    """What the producer says beside metrics; the program could have written it as well."""

    texts: dict[str, str]
    refused: list[str]
    stage: int
    correct: _Correct | None


class Folder(Environment):
    """Programs that a folder's own evaluator scores.

    `evaluate(program_path)` loads the program, so both share a process: it is jailed as a whole,
    and its scores are unverified. Where the first program has a function `solve()` and the folder
    has `score(solution)`, in its evaluator or in `score.py`, the program runs without either, and
    `score` runs in another process on the plain data that `solve()` returned: verified.

    Args:
        path: the folder.
        initial: the first program; default `initial_program.py` or `initial.py`. A folder: all
            Python files in it evolve together.
        evaluator: its file; default `evaluator.py` or `evaluate.py`.
        config: a YAML file; default `config.yaml`, "" for none.
        fitness: the metric that counts, `-name` where less is better; default `combined_score`,
            else `score`, else the mean.
        f_min: offset of the QD score; should bound fitness from below.
        descriptors: by name [low, high, cells]: `code_length`, `tree_size`, `names`, or a metric.
        program: files of the first program, the entry first, instead of `initial`.
        entry: the function that prompts speak of; default the first in an evolve block.
        without: patterns of files that stay at home, such as `*.png`.

    Raises:
        ValueError: for what cannot work, in one line, with file and line where there is one.
    """

    name = "folder"
    paths: ClassVar[tuple[str, ...]] = ("path",)
    producer_modules: ClassVar[tuple[str, ...]] = (
        "environments.folder.producer",
        "environments.folder.evaluation_result",
        "environments.folder.metrics",
        "environments.folder.processes",
    )
    judge_modules: ClassVar[tuple[str, ...]] = (
        "environments.folder.judge",
        "environments.folder.metrics",
        "environments.artifact",
    )

    def __init__(
        self,
        path: str | None = None,
        initial: str | None = None,
        evaluator: str | None = None,
        config: str | None = None,
        fitness: str | None = None,
        f_min: float = 0.0,
        descriptors: Mapping[str, Sequence[float]] | None = None,
        program: Sequence[str] = (),
        entry: str | None = None,
        without: Sequence[str] = (),
    ) -> None:
        if path is None:
            raise ValueError("path: name the folder: environment.path=...")
        self._contents = contents = reading.read(
            path,
            initial=initial,
            evaluator=evaluator,
            config=config,
            program=program,
            without=without,
        )
        if fitness is not None and not fitness.strip("-"):
            raise ValueError(f"fitness: expected the name of a metric, got {fitness!r}")
        self._fitness = fitness
        self._recipe = recipe.Recipe()
        if contents.config is not None:
            self._recipe = recipe.read(contents.text(contents.config), contents.config)
        evolves = anatomy.evolving(contents.program)
        self._first = Program({name: contents.program[name] for name in evolves})
        self._sources = Sources(contents, cascade=self._recipe.cascade)
        self.preload = self._sources.preload()
        self.axes, left_out = _axes(descriptors or {}, self._recipe, self._first)
        self.objective = Objective(fitness or "fitness", f_min=f_min)
        self.prompt = self._make_prompt(evolves, entry)
        self.reproducible = not self._sources.of(CLOCK)
        self.warnings = (*self._recipe.warnings, *left_out, *self._warn())

    @property
    def version(self) -> int:  # type: ignore[override]
        """Another one for other contents: their scores do not compare."""
        contents = self._contents
        told = [contents.evaluator.encode(), contents.place.encode()]
        for name, data in sorted(contents.files.items()):
            told += [name.encode(), data]
        for name, text in contents.program.items():
            told += [name.encode(), text.encode()]
        return zlib.crc32(b"\0".join(told))

    def seeds(self) -> list[Seed]:
        return [Seed("initial", self._first)]

    def limits(self) -> dict[str, float]:
        """Room for what evaluators do: seconds of computation, data files, long printouts."""
        seconds = self._recipe.timeout or 60.0
        return {
            "cpu_seconds": seconds,
            "wall_seconds": max(120.0, 2 * seconds),
            "memory_mb": 1024,
            "file_bytes": reading.MAX_BYTES,
            "output_bytes": 100_000,
        }

    def producer_settings(self) -> dict[str, Any]:
        contents = self._contents
        fixed = {
            self._sources.at(name): {"text": text}
            for name, text in contents.program.items()
            if name not in self._first.files
        }
        return {
            "files": {name: _packed(data) for name, data in self._sources.visible().items()}
            | fixed,
            "evaluator": contents.evaluator,
            "place": contents.place,
            "entry": next(iter(contents.program)),
            "program": list(self._first.files),
            "style": self._sources.style,
            "thresholds": list(self._recipe.thresholds),
        }

    def judge_settings(self) -> dict[str, Any]:
        if self._sources.style != "solve":
            return {}
        scorer = PurePosixPath(self._sources.scorer).stem
        return {"modules": self._sources.modules(), "scorer": scorer}

    def parts(self) -> dict[str, Any]:
        """With a judge only where there is something that it can compute again."""
        if self._sources.style == "solve":
            return super().parts()
        producer = {
            "entry": self.producer_modules[0],
            "modules": read_modules(self.producer_modules),
        }
        return {
            "environment": self.name,
            "producer": producer,
            "judge": None,
            "scoring": "inside",
            "producer_settings": self.producer_settings(),
            "judge_settings": {},
            "preload": self.preload,
            "limits": self.limits(),
        }

    def conclude(self, program: Program, outcomes: Sequence[Outcome]) -> Outcome:
        """Fitness and descriptor from the metrics, and what else the evaluator had to say.

        Raises:
            BadArtifact: for a metric that is not finite, a program that the evaluator calls wrong,
                and metrics that lack what is asked for.
        """
        (outcome,) = outcomes
        detail = "" if self._sources.style == "solve" else _told(outcome.artifact)
        return Outcome(
            fitness=self._fitness_of(outcome.metrics),
            descriptor=descriptors.descriptor(self.axes, program, outcome.metrics),
            metrics=outcome.metrics,
            behaviour=outcome.behaviour,
            artifact=outcome.artifact,
            detail=detail,
        )

    def _fitness_of(self, metrics: Mapping[str, float]) -> float:
        if self._fitness is not None:
            sign, name = (-1, self._fitness[1:]) if self._fitness[0] == "-" else (1, self._fitness)
            if name not in metrics:
                raise BadArtifact(
                    f"no metric {name!r}, which environment.fitness names; there are "
                    f"{', '.join(metrics) or 'none'}"[:250]
                )
            return sign * metrics[name]
        for name in _PREFERRED:
            if name in metrics:
                return metrics[name]
        axes = {axis.name for axis in self.axes}
        values = [v for name, v in metrics.items() if name not in axes and name != "error"]
        if not values:
            raise BadArtifact("the evaluator returned no number that could be the fitness")
        return sum(values) / len(values)

    def _make_prompt(self, evolves: Sequence[str], wanted: str | None) -> Prompt | None:
        file = evolves[0]
        tree = self._sources.trees[self._sources.at(file)]
        found = anatomy.entry(self._first.files[file], tree, wanted)
        if found is None:
            if wanted is not None:
                raise ValueError(f"entry: {file} defines no {wanted!r}")
            return None
        name, opening = found
        told = self._recipe.instruction or (
            f"{name} in {file} is scored by an evaluator; a better program has a higher "
            f"{self._fitness or 'score'}."
        )
        return Prompt(instruction=told, file=file, entry=name, opening=opening)

    def _warn(self) -> Iterator[str]:
        evaluator = self._contents.evaluator
        if self._sources.style != "solve":
            yield (
                f"{evaluator} runs beside the program, so no score of this run is verified; "
                "solve() in the program and score(solution) in the evaluator would be"
            )
        if self.prompt is None:
            yield "the program has no function and no class, so no language model can vary it"
        elif self.prompt.opening.startswith("class "):
            yield (
                f"{self.prompt.file}: what evolves is the class {self.prompt.entry}, which "
                "variation=rewrite and diff can vary, prompt and crossover cannot"
            )
        scoring = reached(self._sources.scoring(), self._sources.trees)
        texts = [self._sources.text(file) for file in scoring]
        if self._fitness is None and not any("combined_score" in text for text in texts):
            yield (
                "fitness is the metric 'score', or the mean of all metrics where there is none; "
                "name one with environment.fitness=..."
            )
        for roots, meaning in (
            (NETWORK - self._sources.own, "nothing in a sandbox reaches a network"),
            (
                PROCESSES,
                "a sandbox starts processes only with environment.limits.processes=2 or so, and "
                "of Python scripts alone",
            ),
            (CLOCK, "a run whose evaluator may read the clock is not called reproducible"),
        ):
            for one in self._sources.of(frozenset(roots))[:1]:
                yield f"{one.file}, line {one.line}: imports {one.module}: {meaning}"


def _told(artifact: Any) -> str:
    """One line of what an evaluator said beside its metrics.

    Raises:
        BadArtifact: if it found a program to be wrong, or a metric is none.
    """
    try:
        claim = msgspec.convert(artifact, _Claim)
    except msgspec.ValidationError as error:
        raise BadArtifact(f"not what the evaluator's side reports: {error}"[:200]) from None
    if claim.refused:
        raise BadArtifact(f"the evaluator: {claim.refused[0]}"[:200])
    if claim.correct is not None and not claim.correct.correct:
        raise BadArtifact(f"the evaluator calls it wrong: {claim.correct.error or 'no reason'}")
    said = (f"{name}: {' '.join(text.split())}" for name, text in claim.texts.items())
    return "; ".join(said)[:MAX_DETAIL]


def _axes(
    chosen: Mapping[str, Sequence[float]], said: recipe.Recipe, first: Program
) -> tuple[tuple[Axis, ...], list[str]]:
    return descriptors.axes(chosen, said.features, said.bins, first)


def _packed(data: bytes) -> dict[str, str]:
    """A file as JSON can carry it."""
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(data).decode()}
