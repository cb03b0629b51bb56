from __future__ import annotations

import json
import statistics
from typing import Any

import pytest
from operator_kit import Toy, vector

from elm.candidate import Elite, Proposal, Status
from elm.variation import Order, build


class Unbounded(Toy):
    bounds = None  # type: ignore[assignment]


class Reversed(Toy):
    bounds = (1.0, 0.0)


def children(
    settings: dict[str, Any], parents: tuple[Elite, ...], count: int, env: Any = None
) -> list[list[float]]:
    made = build(settings, env or Toy(), None)
    found = []
    for proposal in made.propose([Order(parents, seed) for seed in range(count)]):
        assert proposal.program is not None, proposal.detail
        found.append(json.loads(proposal.program.files["vector.json"]))
    return found


def only(proposals: list[Proposal]) -> Proposal:
    (proposal,) = proposals
    return proposal


def test_gaussian_steps_have_the_deviation_asked_for() -> None:
    start = (vector([0.5, 0.5]),)
    relative = [x for x, _ in children({"name": "gaussian", "sigma": 0.05}, start, 2000)]
    assert statistics.stdev(relative) == pytest.approx(0.05 * 5.0, rel=0.06)
    assert statistics.mean(relative) == pytest.approx(0.5, abs=0.03)
    settings = {"name": "gaussian", "sigma": 0.05, "relative": False}
    absolute = [x for x, _ in children(settings, start, 2000)]
    assert statistics.stdev(absolute) == pytest.approx(0.05, rel=0.06)


def test_gaussian_rate_is_the_share_of_coordinates_that_move() -> None:
    found = children({"name": "gaussian", "rate": 0.1}, (vector([0.5] * 20),), 500)
    moved = [sum(x != 0.5 for x in child) for child in found]
    assert min(moved) >= 1
    assert statistics.mean(moved) == pytest.approx(1 + 19 * 0.1, abs=0.3)


@pytest.mark.parametrize("name", ["gaussian", "iso_line"])
def test_bounds_hold(name: str) -> None:
    parents = (vector([-2.0, 3.0, 0.0]), vector([3.0, -2.0, 1.0]))
    for child in children({"name": name}, parents, 300):
        assert all(-2.0 <= x <= 3.0 for x in child)


def test_without_bounds_nothing_is_clipped() -> None:
    found = children({"name": "gaussian", "sigma": 5.0}, (vector([0.0]),), 200, Unbounded())
    assert max(abs(x) for (x,) in found) > 5.0


def test_impossible_bounds_are_named() -> None:
    with pytest.raises(ValueError, match="'toy': expected finite bounds, low first"):
        build({"name": "gaussian"}, Reversed(), None)


def test_iso_line_moves_along_the_line_between_its_parents() -> None:
    parents = (vector([0.0, 0.0]), vector([2.0, 0.0]))
    settings = {"name": "iso_line", "iso_sigma": 0.002, "line_sigma": 0.2}
    found = children(settings, parents, 2000)
    assert statistics.stdev(x for x, _ in found) == pytest.approx(0.2 * 2.0, rel=0.06)
    assert statistics.stdev(y for _, y in found) == pytest.approx(0.002 * 5.0, rel=0.06)


def test_iso_line_with_one_parent_only_takes_the_small_step() -> None:
    found = children({"name": "iso_line", "iso_sigma": 0.01}, (vector([0.5, 0.5]),), 1000)
    assert statistics.stdev(x for x, _ in found) == pytest.approx(0.01 * 5.0, rel=0.08)


def test_a_second_parent_of_another_length_is_left_out() -> None:
    one = children({"name": "iso_line"}, (vector([0.5, 0.5]),), 5)
    assert children({"name": "iso_line"}, (vector([0.5, 0.5]), vector([1.0])), 5) == one


def test_a_step_that_leads_nowhere_is_no_change() -> None:
    made = build({"name": "gaussian", "sigma": 1e-30}, Toy(), None)
    proposal = only(made.propose([Order((vector([1.0]),), 1)]))
    assert (proposal.program, proposal.status) == (None, Status.NO_CHANGE)


def test_numbers_are_written_without_loss() -> None:
    ((x,),) = children({"name": "gaussian"}, (vector([0.1]),), 1)
    ((again,),) = children({"name": "gaussian"}, (vector([0.1]),), 1)
    assert x == again != round(x, 12)
