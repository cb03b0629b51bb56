from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from elm.archive import Archive, GridSpace
from elm.candidate import Candidate, Elite, Evaluation, Program, Status
from elm.search import Result, build
from elm.search.map_elites import MapElites
from environments.base import Axis

CONFIGS = Path(__file__).parents[2] / "configs" / "search"


def elite(number: int, fitness: float, x: float) -> Elite:
    return Elite(
        Candidate(id=number, block=0, program=Program({"p.py": f"x = {number}"})),
        Evaluation(candidate=number, status=Status.OK, fitness=fitness, descriptor=(x,)),
    )


def archive_of(count: int) -> Archive:
    archive = Archive(GridSpace([Axis("x", 0.0, 1.0, count)]), f_min=0.0)
    for i in range(count):
        archive.add(elite(i, float(i), (i + 0.5) / count))
    return archive


def first_parents(strategy: MapElites, archive: Archive, count: int = 6000) -> Counter[int]:
    drawn = strategy.ask(archive, count, random.Random(1))
    return Counter(parents[0].candidate.id for parents in drawn)


def test_draws_depend_on_archive_and_generator_alone() -> None:
    archive = archive_of(20)
    strategy = MapElites(parents=2)
    before = archive.sha256()
    one = strategy.ask(archive, 50, random.Random(3))
    assert MapElites(parents=2).ask(archive, 50, random.Random(3)) == one
    assert strategy.ask(archive, 50, random.Random(3)) == one
    assert strategy.ask(archive, 50, random.Random(4)) != one
    assert archive.sha256() == before
    assert len(one) == 50


@pytest.mark.parametrize("selection", ["uniform", "offspring", "curiosity", "fitness_rank"])
def test_parents_are_distinct_and_alive(selection: Any) -> None:
    archive = archive_of(5)
    for parents in MapElites(3, selection).ask(archive, 200, random.Random(0)):
        assert len({parent.candidate.id for parent in parents}) == 3
        assert all(parent in archive.elites() for parent in parents)


def test_a_small_archive_gives_what_it_has() -> None:
    assert [len(p) for p in MapElites(4).ask(archive_of(2), 3, random.Random(0))] == [2, 2, 2]


def test_no_parents_wanted_or_none_there() -> None:
    empty = Archive(GridSpace([Axis("x", 0.0, 1.0, 2)]), f_min=0.0)
    assert MapElites(0).ask(empty, 3, random.Random(0)) == [(), (), ()]
    with pytest.raises(LookupError, match="archive is empty"):
        MapElites(1).ask(empty, 3, random.Random(0))


def test_siblings_share_their_parents() -> None:
    drawn = MapElites(2, siblings=4).ask(archive_of(50), 10, random.Random(0))
    assert len(drawn) == 10
    assert drawn[0:4] == [drawn[0]] * 4
    assert drawn[4:8] == [drawn[4]] * 4
    assert drawn[8:] == [drawn[8]] * 2
    assert drawn[0] != drawn[4] != drawn[8] != drawn[0]


def test_uniform_favours_nobody() -> None:
    counts = first_parents(MapElites(1), archive_of(10))
    assert set(counts) == set(range(10))
    assert max(counts.values()) < 1.3 * min(counts.values())


def test_offspring_favours_those_whose_children_entered() -> None:
    archive = archive_of(3)
    for _ in range(8):
        archive.record_offspring((0,), entered=True)
        archive.record_offspring((2,), entered=False)
    counts = first_parents(MapElites(1, "offspring"), archive)
    # Weights 9/10, 1/2 and 1/10.
    total = sum(counts.values())
    assert [counts[i] / total for i in range(3)] == pytest.approx([0.6, 1 / 3, 1 / 15], abs=0.03)


def test_curiosity_follows_success_and_excludes_nobody() -> None:
    archive = archive_of(3)
    archive.record_offspring((0,), entered=True)
    for _ in range(50):
        archive.record_offspring((2,), entered=False)
    counts = first_parents(MapElites(1, "curiosity"), archive)
    # Weights 2, 1 and 0.1.
    total = sum(counts.values())
    assert [counts[i] / total for i in range(3)] == pytest.approx([0.645, 0.323, 0.032], abs=0.03)
    assert counts[2] > 0


def test_fitness_rank_is_linear() -> None:
    counts = first_parents(MapElites(1, "fitness_rank"), archive_of(3))
    total = sum(counts.values())
    assert [counts[i] / total for i in range(3)] == pytest.approx([1 / 6, 2 / 6, 3 / 6], abs=0.03)


def test_telling_changes_nothing() -> None:
    archive = archive_of(9)
    strategy = MapElites(1)
    before = strategy.ask(archive, 20, random.Random(2))
    newcomer = elite(50, 99.0, 0.1)
    strategy.tell(Result(newcomer.candidate, newcomer.evaluation, None))
    assert strategy.ask(archive, 20, random.Random(2)) == before


def test_the_shipped_settings_leave_siblings_to_the_operator() -> None:
    settings = yaml.safe_load((CONFIGS / "map_elites.yaml").read_text())
    strategy = build(settings, parents=3, siblings=8)
    assert isinstance(strategy, MapElites)
    assert (strategy.parents, strategy.siblings) == (3, 8)
    chosen = build({**settings, "siblings": 2}, parents=3, siblings=8)
    assert isinstance(chosen, MapElites)
    assert chosen.siblings == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "map_elite"}, "search.name: .*did you mean 'map_elites'"),
        ({"name": "map_elites", "sibling": 2}, "search.sibling: .*did you mean 'siblings'"),
        ({"name": "map_elites", "siblings": 0}, "search.siblings: .*got 0"),
        ({"name": "map_elites", "selection": "unifrom"}, "search.selection.*'uniform'"),
        ({"name": "map_elites", "parents": 5}, "search.parents: unknown setting"),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(settings, parents=1)
