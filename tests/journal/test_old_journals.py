"""Journals that earlier versions wrote: every later one must open, fold and resume them.

`fixtures/version-1.db` is a run of 40 evaluations of `benchmarks.trivial` with the stub model,
in blocks of 16, seed 7.
"""

import shutil
from pathlib import Path

import pytest

import elm
from elm.journal import Journal
from elm.journal.fold import fold

FIXTURE = Path(__file__).parent / "fixtures" / "version-1.db"
SHA256 = "3a853a7ac99141c6f1f7a26d5863af2adc92249314533326903aa55c97328dc2"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "old").mkdir()
    shutil.copy(FIXTURE, tmp_path / "old" / "journal.db")
    return tmp_path / "old"


def test_it_is_read_in_full(folder):
    with Journal(folder / "journal.db", read_only=True) as journal:
        journal.check()
        assert [c.id for c in journal.candidates()] == list(range(40))
        assert len(list(journal.evaluations())) == 40
        assert len(list(journal.attempts())) == 39
        assert journal.meta()["run_name"] == "v1"
        assert fold(journal).sha256() == SHA256


def test_it_goes_on_where_it_ended(folder):
    """The environment's sandbox code may have changed since; what is recorded stands."""
    summary = elm.run(
        environment={"name": "trivial", "_target_": "benchmarks.trivial.environment.Trivial"},
        model={"kind": "stub", "name": "stub"},
        variation={"name": "prompt"},
        budget={"evaluations": 60},
        batch_size=16,
        seed=7,
        run_dir=str(folder.parent),
        run_name="old",
        resume=True,
        view="none",
        report=False,
    )
    assert summary["evaluations"] == 60 and summary["resumed"] == 1
    assert summary["archive_sha256"] != SHA256
