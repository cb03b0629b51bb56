from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest
from archive_elites import make_elite
from hypothesis import given
from hypothesis import strategies as st

from elm.archive import Archive, GridSpace, Outcome, corrected
from elm.candidate import Elite, Evaluation, Status
from environments.base import Axis

AXES = (Axis("x", 0.0, 1.0, 3), Axis("y", -1.0, 1.0, 2))

# Few distinct values, so that cells fill up and ties happen.
FITNESS = st.one_of(st.sampled_from([-2.0, 0.0, 1.0, 3.5]), st.floats(-10, 10))
PLACE = st.tuples(
    st.one_of(st.sampled_from([-0.5, 0.0, 0.4, 1.0, 1.5]), st.floats(-0.2, 1.2)),
    st.one_of(st.sampled_from([-1.0, 0.0, 1.0, 2.0]), st.floats(-1.2, 1.2)),
)
ELITES = st.lists(st.tuples(FITNESS, PLACE), max_size=40).map(
    lambda rows: [make_elite(i, f, d) for i, (f, d) in enumerate(rows)]
)
DEPTH = st.integers(1, 4)
POLICY = st.sampled_from(["reject", "clip"])


def archive(**settings: Any) -> Archive:
    return Archive(GridSpace(AXES), **{"f_min": -10.0, **settings})


def state(archive: Archive) -> tuple[Any, ...]:
    """Everything that an archive shows."""
    return (
        list(archive.ranked()),
        [archive.counters(e.candidate.id) for e in archive],
        archive.filled,
        len(archive),
        archive.coverage,
        archive.qd_score,
        archive.best,
        archive.mean_fitness,
        archive.profile(),
        archive.out_of_range,
        dict(archive.outside),
        archive.sha256(),
    )


def test_the_first_of_a_cell_is_new_and_only_better_ones_improve() -> None:
    a = archive()
    assert a.add(make_elite(1, 1.0, (0.1, 0.5))).outcome is Outcome.NEW
    tie = a.add(make_elite(2, 1.0, (0.2, 0.6)))
    assert (tie.outcome, tie.rank, tie.entered) == (Outcome.REJECTED, None, False)
    better = a.add(make_elite(3, 1.5, (0.2, 0.6)))
    assert (better.outcome, better.rank, better.replaced) == (Outcome.IMPROVED, 0, 1)
    assert better.cell == a.space.cell_of((0.2, 0.6))
    assert [e.candidate.id for e in a] == [3]
    assert 1 not in a and 3 in a


def test_depth_keeps_the_best_in_order() -> None:
    a = archive(depth=3)
    here = (0.1, 0.5)
    ranks = [
        a.add(make_elite(i, f, here)).rank
        for i, f in enumerate([2.0, 1.0, 2.0, 2.0, 1.0, 3.0, 2.0])
    ]
    # The fourth 2.0 is better than the 1.0, the last 2.0 ties with the last of the full cell.
    assert ranks == [0, 1, 1, 2, None, 0, None]
    assert [e.candidate.id for e in a] == [5, 0, 2]
    assert (len(a), a.filled) == (3, 1)


@given(ELITES, DEPTH, POLICY)
def test_coverage_and_best_never_fall(elites: list[Elite], depth: int, policy: str) -> None:
    a = archive(depth=depth, out_of_range=policy)
    coverage, best, score = 0.0, -math.inf, 0.0
    for e in elites:
        a.add(e)
        assert a.coverage >= coverage
        assert a.qd_score >= score
        coverage, score = a.coverage, a.qd_score
        if a.best is not None:
            assert a.best.evaluation.fitness is not None
            assert a.best.evaluation.fitness >= best
            best = a.best.evaluation.fitness


@given(ELITES, DEPTH, POLICY)
def test_a_batch_is_the_same_as_one_by_one(elites: list[Elite], depth: int, policy: str) -> None:
    one, batch = (archive(depth=depth, out_of_range=policy) for _ in range(2))
    answers = [one.add(e) for e in elites]
    assert batch.add_all(elites) == answers
    assert state(batch) == state(one)


@given(ELITES, DEPTH, POLICY)
def test_contents_are_the_best_of_each_cell(elites: list[Elite], depth: int, policy: str) -> None:
    """Against a model: sort all that ever came, in committed order."""
    a = archive(depth=depth, out_of_range=policy)
    a.add_all(elites)
    expected: dict[int, list[Elite]] = {}
    outside = 0
    for e in elites:
        place = e.evaluation.descriptor
        assert place is not None
        cell = a.space.cell_of(place)
        if cell is None:
            outside += 1
            if policy == "reject":
                continue
            cell = a.space.cell_of(a.space.clip(place))
        assert cell is not None
        expected.setdefault(cell, []).append(e)
    wanted = {
        cell: tuple(sorted(held, key=lambda e: (-e.evaluation.fitness, e.candidate.id))[:depth])
        for cell, held in expected.items()
    }
    assert {cell: a.cell(cell) for cell in wanted} == wanted
    assert a.filled == len(wanted)
    assert len(a) == sum(map(len, wanted.values()))
    assert a.out_of_range == outside
    everybody = [e for held in wanted.values() for e in held]
    key = lambda e: (-e.evaluation.fitness, e.candidate.id)  # noqa: E731
    assert a.best == (min(everybody, key=key) if everybody else None)


@given(ELITES, DEPTH, st.randoms(use_true_random=False))
def test_order_matters_only_for_ties(elites: list[Elite], depth: int, rng: random.Random) -> None:
    seen: set[float] = set()
    distinct = []
    for e in elites:
        assert e.evaluation.fitness is not None
        if e.evaluation.fitness not in seen:
            seen.add(e.evaluation.fitness)
            distinct.append(e)
    one, other = archive(depth=depth), archive(depth=depth)
    one.add_all(distinct)
    rng.shuffle(distinct)
    other.add_all(distinct)
    assert state(one) == state(other)


@given(ELITES, DEPTH)
def test_the_qd_score_is_the_rounded_exact_sum(elites: list[Elite], depth: int) -> None:
    a = archive(depth=depth)
    for e in elites:
        a.add(e)
        tops = [a.cell(cell)[0] for cell in range(a.space.cells) if a.cell(cell)]
        assert a.qd_score == math.fsum(t.evaluation.fitness + 10.0 for t in tops)
        assert a.filled == len(tops)
    assert a.coverage == a.filled / 6


def test_the_qd_score_does_not_drift() -> None:
    a = archive(f_min=0.0)
    for i in range(10_000):
        a.add(make_elite(i, 1e-3 * i, (i % 3 / 3 + 0.1, 0.5)))
    assert a.qd_score == math.fsum([9.999, 9.998, 9.997])
    assert a.qd_score == pytest.approx(29.994, abs=1e-9)


def test_profile_is_the_share_of_cells_at_least_as_good() -> None:
    a = archive(depth=2)
    a.add_all(
        [
            make_elite(1, 1.0, (0.1, 0.5)),
            make_elite(2, 1.0, (0.5, 0.5)),
            make_elite(3, 4.0, (0.9, 0.5)),
        ]
    )
    a.add(make_elite(4, 0.5, (0.9, 0.5)))  # second of its cell: not part of the profile
    assert a.profile() == [(1.0, 3 / 6), (4.0, 1 / 6)]
    assert a.mean_fitness == 2.0
    empty = archive()
    assert (empty.profile(), empty.mean_fitness, empty.best, empty.qd_score) == ([], None, None, 0)


def test_rejecting_counts_and_changes_nothing_else() -> None:
    a = archive()
    answer = a.add(make_elite(1, 1.0, (1.5, -3.0)))
    assert (answer.outcome, answer.cell, answer.entered) == (Outcome.OUT_OF_RANGE, None, False)
    assert (a.out_of_range, a.outside) == (1, {"x high": 1, "y low": 1})
    assert len(a) == 0


def test_clipping_counts_and_keeps_the_measured_descriptor() -> None:
    a = archive(out_of_range="clip")
    answer = a.add(make_elite(1, 1.0, (1.5, 0.5)))
    assert answer.outcome is Outcome.NEW
    assert answer.cell == a.space.cell_of((1.0, 0.5))
    assert a.out_of_range == 1
    assert next(iter(a)).evaluation.descriptor == (1.5, 0.5)


class Strange(float):
    """A number that is not a plain float."""


BAD = [
    (make_elite(9, math.nan, (0.1, 0.5)), "candidate 9: fitness.*nan"),
    (make_elite(9, math.inf, (0.1, 0.5)), "fitness.*inf"),
    (make_elite(9, None, (0.1, 0.5)), "fitness.*None"),
    (make_elite(9, 10**400, (0.1, 0.5)), "fitness"),
    (make_elite(9, "3", (0.1, 0.5)), "fitness.*'3'"),  # type: ignore[arg-type]
    (make_elite(9, 1.0, None), "descriptor: expected 2 numbers, got None"),
    (make_elite(9, 1.0, (0.1,)), "descriptor: expected 2 numbers"),
    (make_elite(9, 1.0, (0.1, 0.5, 0.5)), "descriptor: expected 2 numbers"),
    (make_elite(9, 1.0, (0.1, math.nan)), "descriptor 'y'.*nan"),
    (make_elite(9, 1.0, (-math.inf, 0.5)), "descriptor 'x'.*inf"),
    (make_elite(9, 1.0, (0.1, "0.5")), "descriptor 'y'.*'0.5'"),  # type: ignore[arg-type]
    (make_elite(9, 1.0, (0.1, 0.5), status=Status.TIMEOUT), "expected status ok, got timeout"),
    (make_elite(1, 5.0, (0.1, 0.5)), "candidate 1: lives in the archive already"),
    (
        Elite(make_elite(9, 1.0, (0.1, 0.5)).candidate, make_elite(8, 1.0, (0.1, 0.5)).evaluation),
        "candidate 9, got that of 8",
    ),
]


@pytest.mark.parametrize("policy", ["reject", "clip"])
@pytest.mark.parametrize(("bad", "message"), BAD)
def test_bad_input_is_named_and_changes_nothing(bad: Elite, message: str, policy: str) -> None:
    a = archive(out_of_range=policy)
    a.add(make_elite(1, 1.0, (0.1, 0.5)))
    a.add(make_elite(2, 1.0, (7.0, 0.5)))
    before = state(a)
    with pytest.raises(ValueError, match=message):
        a.add(bad)
    assert state(a) == before
    with pytest.raises(ValueError, match=message) as caught:
        a.add_all([make_elite(3, 8.0, (0.1, 0.5)), bad])
    assert str(caught.value).startswith("elites[1]: ")
    assert state(a) == before


def test_a_candidate_twice_in_a_batch_is_refused() -> None:
    a = archive(depth=2)
    with pytest.raises(ValueError, match="candidate 4 is in the batch twice"):
        a.add_all([make_elite(4, 1.0, (0.1, 0.5)), make_elite(4, 2.0, (0.1, 0.5))])
    assert len(a) == 0


def test_a_candidate_without_a_program_is_refused() -> None:
    whole = make_elite(4, 1.0, (0.1, 0.5))
    bare = Elite(type(whole.candidate)(id=4, block=0, program=None), whole.evaluation)
    with pytest.raises(ValueError, match="expected a program"):
        archive().add(bare)


def test_whole_numbers_and_kinds_of_float_are_welcome() -> None:
    a = archive(depth=2)
    assert a.add(make_elite(1, 3, (0, 1))).entered
    assert a.add(make_elite(2, Strange(2.0), (Strange(0.0), 1.0))).entered
    assert len(a.sha256()) == 64


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"f_min": math.nan}, "f_min"),
        ({"f_min": -math.inf}, "f_min"),
        ({"depth": 0}, "depth.*got 0"),
        ({"out_of_range": "ignore"}, "out_of_range.*'ignore'"),
    ],
)
def test_impossible_settings_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        archive(**settings)


def test_offspring_counters_belong_to_the_living() -> None:
    a = archive()
    a.add(make_elite(1, 1.0, (0.1, 0.5)))
    a.add(make_elite(2, 1.0, (0.9, 0.5)))
    a.record_offspring((1, 2), entered=True)
    a.record_offspring((1, 1), entered=False)  # a parent counts once for each child
    a.record_offspring((77,), entered=True)
    assert (a.counters(1).tried, a.counters(1).entered) == (2, 1)
    assert (a.counters(2).tried, a.counters(2).entered) == (1, 1)
    a.add(make_elite(3, 2.0, (0.1, 0.5)))
    assert a.counters(3).tried == 0
    with pytest.raises(KeyError):
        a.counters(1)


def test_the_hash_sees_what_it_should_and_nothing_else() -> None:
    def hashed(*elites: Elite, depth: int = 1) -> str:
        a = archive(depth=depth)
        a.add_all(elites)
        return a.sha256()

    base = make_elite(1, 1.0, (0.1, 0.5))
    changed = [
        make_elite(2, 1.0, (0.1, 0.5), text="x = 1\n"),
        make_elite(1, math.nextafter(1.0, 2.0), (0.1, 0.5)),
        make_elite(1, 1.0, (math.nextafter(0.1, 1.0), 0.5)),
        make_elite(1, 1.0, (0.1, 0.5), text="x = 1 \n"),
        make_elite(1, 1.0, (0.5, 0.5)),
    ]
    hashes = [hashed(base), hashed(), *map(hashed, changed)]
    assert len(set(hashes)) == len(hashes)
    slower = Elite(
        base.candidate,
        Evaluation(
            candidate=1,
            status=Status.OK,
            fitness=1.0,
            descriptor=(0.1, 0.5),
            wall_seconds=9.0,
            node="elsewhere",
            logs="hello",
        ),
    )
    assert hashed(slower) == hashed(base)
    worse = make_elite(5, 0.5, (0.1, 0.5))
    assert hashed(base, worse, depth=2) != hashed(base, worse)
    assert hashed(worse, base, depth=2) == hashed(base, worse, depth=2)


def test_lone_surrogates_in_a_program_can_be_hashed() -> None:
    a = archive()
    a.add(make_elite(1, 1.0, (0.1, 0.5), text="'\ud800'"))
    assert len(a.sha256()) == 64


def evaluation(number: int, fitness: float, place: tuple[float, float]) -> Evaluation:
    return make_elite(number, fitness, place).evaluation


def test_the_corrected_archive_takes_the_luck_out() -> None:
    a = archive()
    a.add(make_elite(1, 9.0, (0.1, 0.5)))  # lucky
    a.add(make_elite(2, 2.0, (0.9, 0.5)))  # moves into the cell of the first
    a.add(make_elite(3, 3.0, (0.5, 0.5)))  # fails once
    before = state(a)
    fresh = {
        1: [evaluation(1, 1.0, (0.1, 0.5)), evaluation(1, 2.0, (0.2, 0.5))],
        2: [evaluation(2, 2.0, (0.0, 0.5)), evaluation(2, 4.0, (0.2, 0.5))],
        3: [
            evaluation(3, 5.0, (0.5, 0.5)),
            Evaluation(candidate=3, status=Status.RUNTIME_ERROR),
        ],
    }
    result = corrected(a, fresh)
    assert [e.candidate.id for e in result] == [2]
    assert result.best is not None
    assert (result.best.evaluation.fitness, result.best.evaluation.descriptor) == (3.0, (0.1, 0.5))
    assert (result.f_min, result.depth, result.policy) == (a.f_min, a.depth, a.policy)
    assert state(a) == before
    assert corrected(a, lambda e: fresh[e.candidate.id]).sha256() == result.sha256()


def test_the_corrected_archive_of_exact_evaluations_is_the_archive() -> None:
    a = archive(depth=2)
    rng = random.Random(5)
    for i in range(40):
        a.add(make_elite(i, rng.random(), (rng.random(), rng.uniform(-1, 1))))
    assert corrected(a, lambda e: [e.evaluation] * 4).sha256() == a.sha256()


def test_an_elite_without_fresh_evaluations_is_named() -> None:
    a = archive()
    a.add(make_elite(7, 1.0, (0.1, 0.5)))
    with pytest.raises(ValueError, match="candidate 7: expected fresh evaluations"):
        corrected(a, {})
    hollow = Evaluation(candidate=7, status=Status.OK)
    with pytest.raises(ValueError, match="candidate 7: a fresh evaluation lacks"):
        corrected(a, {7: [hollow]})


def doing(number: int, fitness: float, place: tuple[float, float], behaviour: str | None) -> Elite:
    elite = make_elite(number, fitness, place)
    return Elite(elite.candidate, msgspec.structs.replace(elite.evaluation, behaviour=behaviour))


def test_what_does_the_same_as_an_elite_enters_once():
    cells = archive(behaviours="once")
    first, again = (0.1, 0.5), (0.9, 0.5)
    assert cells.add(doing(0, 1.0, first, "a")).outcome is Outcome.NEW
    assert cells.add(doing(1, 9.0, again, "a")).outcome is Outcome.SAME_BEHAVIOUR
    assert cells.add(doing(2, 0.5, first, "b")).outcome is Outcome.REJECTED
    assert cells.add(doing(3, 0.5, again, "b")).entered, "it had not entered before"
    assert cells.add(doing(4, 2.0, first, None)).entered
    assert cells.add(doing(5, 3.0, first, None)).entered
    assert (cells.filled, cells.same_behaviour) == (2, 1)


def test_behaviour_does_not_count_unless_asked():
    cells = archive()
    for number, place in enumerate([(0.1, 0.5), (0.9, 0.5)]):
        assert cells.add(doing(number, 1.0, place, "a")).entered
    assert cells.same_behaviour == 0
