"""The archive as the fold of a journal."""

from __future__ import annotations

import pytest

from elm.journal import Journal, JournalError
from elm.journal.fold import fold


@pytest.mark.parametrize("archive", [{"name": "grid", "depth": 2}, {"name": "cvt", "cells": 9}])
def test_the_fold_is_the_archive_that_the_run_held(make_run, archive):
    run = make_run(archive=archive, uncommitted=2)
    with Journal(run.folder / "journal.db", read_only=True) as journal:
        folded = fold(journal)
    assert folded.sha256() == run.archive.sha256()
    assert folded.out_of_range == run.archive.out_of_range
    ids = [elite.candidate.id for elite in folded]
    assert [folded.counters(i) for i in ids] == [run.archive.counters(i) for i in ids]


def test_a_watcher_sees_every_committed_candidate_in_order(make_run):
    run = make_run(uncommitted=1)
    seen = []
    with Journal(run.folder / "journal.db", read_only=True) as journal:
        fold(journal, lambda *what: seen.append(what))
    assert [c.id for c, _, _ in seen] == [c.id for c in run.candidates if c.block < 4]
    for candidate, evaluation, insertion in seen:
        assert evaluation == run.evaluations.get(candidate.id)
        assert (insertion is not None) == (evaluation is not None and evaluation.status == "ok")


def test_a_journal_that_does_not_describe_its_archive_is_refused(tmp_path):
    path = tmp_path / "journal.db"
    with (
        Journal.create(path, {"run_name": "x"}) as journal,
        pytest.raises(JournalError, match=r"journal\.db: does not describe its archive"),
    ):
        fold(journal)
