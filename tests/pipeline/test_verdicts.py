"""What the pipeline makes of a judge that breaks its word."""

import math

import pytest
from fakes import Fleet, new_journal, pipeline

from elm.candidate import Evaluation, Status
from elm.journal import Journal
from elm.pipeline import Ending


@pytest.mark.parametrize(
    ("fitness", "descriptor"),
    [
        (None, (1.0, 1.0)),
        (math.nan, (1.0, 1.0)),
        (math.inf, (1.0, 1.0)),
        (1.0, None),
        (1.0, (1.0,)),
        (1.0, (1.0, 1.0, 1.0)),
        (1.0, (1.0, math.nan)),
    ],
)
def test_it_is_counted_as_a_judge_error_and_the_run_goes_on(tmp_path, fitness, descriptor):
    class Sloppy(Fleet):
        def results(self, timeout):
            return [
                Evaluation(
                    candidate=e.candidate,
                    status=Status.OK,
                    fitness=fitness,
                    descriptor=descriptor,
                )
                if e.candidate % 5 == 4
                else e
                for e in super().results(timeout)
            ]

    with new_journal(tmp_path) as journal:
        made = pipeline(journal, Sloppy())
        assert made.run() is Ending.EVALUATIONS
    assert made.spent.statuses[Status.JUDGE_ERROR] > 0
    assert not any(e.candidate.id % 5 == 4 for e in made.archive.elites())
    with Journal(tmp_path / "journal.db", read_only=True) as journal:
        broken = [e for e in journal.evaluations() if e.status is Status.JUDGE_ERROR]
    assert broken and all("the judge gave" in e.detail for e in broken)
