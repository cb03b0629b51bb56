"""`elm.evolve`: a function of a notebook, its score, and what evolution makes of the two."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from elm.api.defaults import complete
from elm.api.source import text_of
from elm.candidate import Elite
from elm.config import ConfigError
from elm.journal import Journal
from elm.journal.fold import fold
from elm.launch import run


class Result(msgspec.Struct, frozen=True):
    """What an evolution found.

    Programs are text: nobody has looked at what a search wrote, so nothing here makes a function
    of it in your own process. Read `program` before you execute it.
    """

    best: Elite
    elites: tuple[Elite, ...]  # one for each cell that was reached, by cell
    summary: dict[str, Any]  # what summary.json holds
    folder: Path  # of the run, with its report and journal

    @property
    def program(self) -> str:
        """The text of the best program."""
        assert self.best.candidate.program is not None
        return self.best.candidate.program.source

    @property
    def fitness(self) -> float:
        """What the score said of the best program."""
        assert self.best.evaluation.fitness is not None
        return self.best.evaluation.fitness

    def __repr__(self) -> str:
        return (
            f"Result(fitness={self.fitness:g}, {len(self.elites)} elites in "
            f"{self.summary['cells']} of {self.summary['cells_total']} cells, "
            f"{self.summary['evaluations']} evaluations, folder={str(self.folder)!r})\n"
            f"{self.program}"
        )


def evolve(
    function: Callable[..., Any] | str,
    *,
    score: Callable[..., Any] | str,
    inputs: Sequence[Any] | None = None,
    model: str | Mapping[str, Any] = "none",
    variation: str | Mapping[str, Any] | None = None,
    evaluations: int = 1000,
    descriptors: Mapping[str, Sequence[float]] | None = None,
    preamble: str = "",
    f_min: float = 0.0,
    f_max: float | None = None,
    limits: Mapping[str, float] | None = None,
    seed: int = 0,
    **settings: Any,
) -> Result:
    """Evolves a function towards a higher score.

    The function runs in jailed sandboxes and `score` in a jailed process beside them, so both must
    say in their own text all that they need: imports inside, constants inside, or a `preamble`.
    What a program must not know, an expected answer say, belongs into the score.

    Args:
        function: the function to start from, or its text.
        score: `score(outputs)`, with a list of one output for each input; or `score(output)` where
            there are no inputs. With a second parameter it is given the inputs too. Higher is
            better. It returns a number, or a mapping with "fitness" and further numbers. Outputs
            arrive as JSON carries them (a tuple as a list). A program for which it raises fails.
        inputs: what the function is called with, once each: a tuple is the arguments of a call,
            anything else its only argument. Python literals.
        model: the name of a file in configs/model, or a mapping.
        variation: the same for operators; left out: `prompt` with a model, `syntax_tree` without.
        evaluations: programs that are executed, at most; or give `budget={...}`.
        descriptors: by name [low, high, cells]; code_length, tree_size, names, or a number of the
            mapping that the score returns. What lies outside of the limits is refused.
        preamble: text with imports and helpers, for the function and for the score.
        f_min: the worst score that counts; f_max: the best there is, if known.
        limits: of one execution, such as {"cpu_seconds": 5}.
        seed: the same seed gives the same result.
        settings: all else that `elm.run` takes: run_dir, run_name, view, archive, dispatch, ...

    Raises:
        ConfigError, RunError, FleetError, ModelError: each with one line.
    """
    source, entry = text_of("function", function, preamble)
    scoring, score_entry = text_of("score", score, preamble)
    if "environment" in settings:
        raise ConfigError("environment: elm.evolve makes its own; elm.run takes another")
    section: dict[str, Any] = {
        "name": "inline",
        "source": source,
        "entry": entry,
        "score": f"{preamble}\n{scoring}" if preamble else scoring,
        "score_entry": score_entry,
        "inputs": [_literal(number, value) for number, value in enumerate(inputs or ())],
        "f_min": f_min,
        "f_max": f_max,
        "preamble": preamble,
    }
    if descriptors is not None:
        section["descriptors"] = {name: list(limit) for name, limit in descriptors.items()}
    if limits is not None:
        section["limits"] = dict(limits)
    if variation is None:
        name = model if isinstance(model, str) else model.get("name")
        variation = "syntax_tree" if name == "none" else "prompt"
    sections = {"budget": {"evaluations": evaluations}, "seed": seed, **settings}
    if sections.get("run_name") is None:
        sections["run_name"] = _free_name(entry, Path(sections.get("run_dir", "runs")))
    summary = run(
        complete({"environment": section, "model": model, "variation": variation, **sections})
    )
    folder = Path(summary["folder"])
    with Journal(folder / "journal.db", read_only=True) as journal:
        archive = fold(journal)
    if archive.best is None:
        raise ConfigError("function: the archive is empty: no program entered it")
    return Result(archive.best, archive.elites(), summary, folder)


def _free_name(entry: str, home: Path) -> str:
    """A cell of a notebook may be run twice within a second."""
    name = stem = f"{entry}-{datetime.now():%Y%m%d-%H%M%S}"
    number = 1
    while (home / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name


def _literal(number: int, value: Any) -> str:
    text = repr(value)
    try:
        same = ast.literal_eval(text) == value
    except (ValueError, SyntaxError, TypeError):
        same = False
    if same is not True:
        raise ConfigError(
            f"inputs[{number}]: expected numbers, texts, None, and tuples, lists, dicts or sets of "
            f"them, got {text[:60]}"
        )
    return text
