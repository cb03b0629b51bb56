"""The contract of an environment, and the registry.

An environment says what evolves (seeds, prompt), where a program's behaviour is measured (axes),
and names two separate modules: a *producer*, which turns a program into plain data inside the
jail, and a *judge*, which turns that data into a score in another process. The two never meet.

    produce(files: dict[str, str], settings: dict) -> JSON-able artifact
    judge(artifact, settings: dict) -> {"fitness": float, "descriptor": [float, ...],
                                        "metrics": {str: float}}      # metrics may be left out

That is `scoring = "artifact"`. Two other ways exist for problems that it does not fit:

    "calls"   produce(files, settings) -> function
              judge(ask, settings) calls it in batches, ask([[1, 2], [3, 4]]) -> [f(1, 2), f(3, 4)],
              while it goes on; "artifact" in its answer is kept as the solution
    "inside"  produce(files, settings) -> the answer of a judge, and "artifact": {...}. Computed
              beside the program, which may forge it: unverified, unless there is a judge as well
              that computes it again from the artifact

A program whose inputs can be tried apart may be executed in several `portions`: `produce` then
finds the number of its portion, from 0, in `settings["portion"]`, and tries all inputs where there
is none. The search puts what was found together again, in `Environment.conclude`; there it may also
add to the descriptor what the text of a program says, or its time and memory, of which no judge
knows. Where the producer's module has a function `prepare(settings)`, it is called once in each
slot before any program, and programs share what it leaves behind, copied when written to.

`produce` may raise whatever the program raises. `judge` raises `environments.artifact.BadArtifact`
for an artifact that is not what it asked for; anything else it raises counts as its own defect.
Fitness is always maximised: a problem that minimises returns the negative.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec


class Program(msgspec.Struct, frozen=True):
    """Source text by file name; most often one file."""

    files: dict[str, str]

    @property
    def source(self) -> str:
        """The text of a program of one file.

        Raises:
            ValueError: if the program has several files.
        """
        if len(self.files) != 1:
            raise ValueError(f"program has {len(self.files)} files, expected 1")
        return next(iter(self.files.values()))


class Seed(msgspec.Struct, frozen=True):
    """A program to start from, with the name that reports give it."""

    name: str
    program: Program


class Axis(msgspec.Struct, frozen=True):
    """One dimension of behaviour. Limits are fixed before the run and never move."""

    name: str
    low: float
    high: float
    cells: int
    unit: str = ""


class Objective(msgspec.Struct, frozen=True):
    """What fitness means. `f_min` is the fixed offset of the QD score."""

    name: str
    f_min: float
    f_max: float | None = None  # the best possible, if known
    unit: str = ""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """What a language model is told of an environment."""

    instruction: str  # one or two sentences: what the program does and what is wanted
    file: str  # the file of the program that holds `entry`
    entry: str  # the function that evolves
    opening: str  # how every program starts: the signature, and what must follow it
    preamble: str = ""  # the API that the program may use, as the model should see it
    commit_messages: tuple[tuple[str, float], ...] = ()  # for diffs, with their weights
    # What may change where a file marks nothing itself: all of it, or the function `entry` alone.
    evolve: Literal["file", "entry"] = "file"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one portion of a candidate: the judge's answer, and what the watcher measured.

    In the answer of `Environment.conclude` only what an evaluation takes from it counts: fitness,
    descriptor, metrics, scores, behaviour and artifact.
    """

    fitness: float | None
    descriptor: tuple[float, ...] | None
    metrics: dict[str, float] = {}
    scores: dict[str, float] = {}  # by input
    behaviour: str | None = None
    artifact: Any = None
    status: str = "ok"  # or why the portion failed; then nothing above is known
    detail: str = ""
    cpu_seconds: float = 0.0
    peak_memory_mb: float = 0.0


class Environment(ABC):
    """What evolves and how it is scored. Owns no model, no executor and no batch size."""

    name: ClassVar[str]
    version: ClassVar[int] = 1  # raised whenever the same program would get another score
    reproducible: bool = True  # False where time or memory enter fitness or descriptor
    axes: tuple[Axis, ...]
    objective: Objective
    prompt: Prompt | None = None  # None where no language model can vary the genome
    preload: tuple[str, ...] = ()
    # Dotted names: the entry module first, then the modules of ours that it imports.
    producer_modules: ClassVar[tuple[str, ...]]
    judge_modules: ClassVar[tuple[str, ...]] = ()  # may be left out only where scoring is "inside"
    scoring: ClassVar[str] = "artifact"
    # Settings that name a file of the machine where the environment is built. A sandbox server
    # opens no file because a stranger says so: these must be left out there.
    paths: ClassVar[tuple[str, ...]] = ()
    warnings: tuple[str, ...] = ()  # what whoever starts a run should know, a line each
    portions: int = 1  # executions for each candidate, side by side where slots are idle
    tolerant: bool = False  # whether `conclude` is asked about candidates of which a portion failed

    @abstractmethod
    def seeds(self) -> Sequence[Seed]:
        """Programs to start from; at least one."""

    def producer_settings(self) -> dict[str, Any]:
        """Plain JSON for `produce`. Never holds an expected answer."""
        return {}

    def judge_settings(self) -> dict[str, Any]:
        """Plain JSON for `judge`."""
        return {}

    def limits(self) -> dict[str, float]:
        """Limits of one execution that differ from the sandbox's defaults, by their names."""
        return {}

    def parts(self) -> dict[str, Any]:
        """All that a sandbox needs of it, as plain data in the shape of a `Bundle`."""

        def code(names: tuple[str, ...]) -> dict[str, Any]:
            return {"entry": names[0], "modules": read_modules(names)}

        return {
            "environment": self.name,
            "producer": code(self.producer_modules),
            "judge": code(self.judge_modules) if self.judge_modules else None,
            "scoring": self.scoring,
            "producer_settings": self.producer_settings(),
            "judge_settings": self.judge_settings(),
            "preload": self.preload,
            "limits": self.limits(),
        }

    def conclude(self, program: Program, outcomes: Sequence[Outcome]) -> Outcome:
        """What a candidate is worth, from all its portions in their order. Asked by the search.

        Raises:
            environments.artifact.BadArtifact: if they do not make up what is asked for.
        """
        (outcome,) = outcomes
        return outcome

    def random_program(self, rng: random.Random) -> Program:
        """A program that owes nothing to any parent: the baseline every search has to beat.

        Raises:
            LookupError: if the environment has no such generator.
        """
        raise LookupError(f"environment {self.name!r} generates no random programs")

    def render(self, artifact: Any) -> str | None:
        """A picture of the artifact as SVG text for reports, or None."""
        return None


def read_modules(names: Sequence[str]) -> dict[str, str]:
    """Source text of installed modules, without importing any of them.

    Raises:
        ModuleNotFoundError: if there is no such module, or it has no source.
    """
    sources = {}
    for name in names:
        package, _, stem = name.rpartition(".")
        home = importlib.import_module(package).__path__ if package else None
        spec = importlib.machinery.PathFinder.find_spec(name if home else stem, home)
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError(f"no module {name!r}", name=name)
        sources[name] = Path(spec.origin).read_text(encoding="utf-8")
    return sources


def registry() -> Mapping[str, Any]:
    """Installed environments by name (entry points of the group `elm.environments`)."""
    return {point.name: point for point in entry_points(group="elm.environments")}
