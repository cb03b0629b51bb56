"""The archive as the fold of a journal: what a run had found, from its record alone."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from elm.archive import Archive, Insertion, build
from elm.candidate import Candidate, Elite, Evaluation, Status
from elm.journal.error import JournalError
from elm.journal.journal import Journal
from environments.base import Axis

Watcher = Callable[[Candidate, Evaluation | None, Insertion | None], None]


def fold(journal: Journal, watch: Watcher | None = None) -> Archive:
    """Puts the candidates of all committed blocks into an empty archive, in their order.

    The result equals the archive that the run held after its last commit, offspring counters
    included. It needs neither the environment nor its packages, and reads one block at a time.

    Args:
        watch: called with every committed candidate, its evaluation (None where it was never
            executed) and what the archive answered (None where it was not offered).

    Raises:
        JournalError: if the journal does not say what its archive was, or contradicts itself.
    """
    meta = journal.meta()
    try:
        archive = build(
            meta["config"]["archive"],
            msgspec.convert(meta["axes"], list[Axis]),
            meta["objective"]["f_min"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise JournalError(f"{journal.path}: does not describe its archive ({error})") from error
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
