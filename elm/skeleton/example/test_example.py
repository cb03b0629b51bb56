"""The contract, and what only this environment knows."""

import pytest

from elm.checkup import check
from elm.skeleton.example.environment import Example
from elm.skeleton.example.judge import judge


def test_it_keeps_to_the_contract() -> None:
    """The same as `elm check-environment`: seeds, bundles, and a real sandbox."""
    failures = [str(finding) for finding in check(Example()) if finding.failed]
    assert not failures, "\n".join(failures)


def test_the_score_is_the_least_distance() -> None:
    square = [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert judge(square, {"count": 4})["fitness"] == pytest.approx(1.0)


def test_a_count_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        Example(count=1)
