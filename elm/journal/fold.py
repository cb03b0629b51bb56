"""The archive as the fold of a journal: what a run had found, from its record alone."""

from __future__ import annotations

from collections.abc import Callable

from elm.archive import Archive, Insertion, build
from elm.build import build_environment
from elm.candidate import Candidate, Elite, Evaluation, Status
from elm.journal.error import JournalError
from elm.journal.journal import Journal
from environments.base import Environment

Watcher = Callable[[Candidate, Evaluation | None, Insertion | None], None]


def fold(
    journal: Journal,
    environment: Environment | None = None,
    watch: Watcher | None = None,
) -> Archive:
    """Puts the candidates of all committed blocks into an empty archive, in their order.

    The result equals the archive that the run held after its last commit, offspring counters
    included. Blocks are read one at a time.

    Args:
        environment: that of the run; built from the journal's own configuration where left out.
        watch: called with every committed candidate, its evaluation (None where it was never
            executed) and what the archive answered (None where it was not offered).

    Raises:
        JournalError: if the journal has no configuration, or does not fit its environment.
        ConfigError: if the run's environment cannot be built here.
    """
    config = journal.meta().get("config")
    if not isinstance(config, dict) or "environment" not in config:
        raise JournalError(f"{journal.path}: holds no configuration of a run")
    if environment is None:
        environment = build_environment(config["environment"])
    archive = build(
        config.get("archive", {"name": "grid"}), environment.axes, environment.objective.f_min
    )
    for commit in journal.commits():
        evaluations = {e.candidate: e for e in journal.evaluations(commit.block)}
        for candidate in journal.candidates(commit.block):
            evaluation = evaluations.get(candidate.id)
            insertion = None
            if evaluation is not None and evaluation.status is Status.OK:
                try:
                    insertion = archive.add(Elite(candidate, evaluation))
                except ValueError as error:
                    raise JournalError(f"{journal.path}: {error}") from error
            entered = insertion is not None and insertion.entered
            archive.record_offspring(candidate.parents, entered)
            if watch is not None:
                watch(candidate, evaluation, insertion)
    return archive
