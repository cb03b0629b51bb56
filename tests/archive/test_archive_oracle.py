"""pyribs as the oracle: the same insertions must give the same cells and objectives."""

from __future__ import annotations

import numpy as np
import pytest
from archive_elites import make_elite
from ribs.archives import CVTArchive, GridArchive

from elm.archive import Archive, CVTSpace, GridSpace, Space
from environments.base import Axis

COUNT = 3000


def insertions(seed: int, axes: list[Axis]) -> list[tuple[float, tuple[float, ...]]]:
    rng = np.random.default_rng(seed)
    low, high = [a.low for a in axes], [a.high for a in axes]
    places = rng.uniform(low, high, (COUNT, len(axes)))
    fitness = np.round(rng.normal(size=COUNT), 1)  # ties
    return [(float(f), tuple(map(float, p))) for f, p in zip(fitness, places, strict=True)]


def compare(space: Space, oracle: GridArchive | CVTArchive, seed: int, scale: np.ndarray) -> None:
    ours = Archive(space, f_min=-6.0)
    for number, (fitness, place) in enumerate(insertions(seed, list(space.axes))):
        answer = ours.add(make_elite(number, fitness, place))
        theirs = oracle.add_single(float(number), fitness, np.array(place) * scale)
        assert answer.entered == (theirs["status"] > 0)
    data = oracle.data()
    expected = {
        int(cell): (int(number), float(objective))
        for cell, number, objective in zip(
            data["index"], data["solution"], data["objective"], strict=True
        )
    }
    assert {
        cell: (e.candidate.id, e.evaluation.fitness) for cell, _, e in ours.ranked()
    } == expected
    assert ours.coverage == pytest.approx(float(oracle.stats.coverage))
    assert ours.qd_score == pytest.approx(float(oracle.stats.qd_score))
    assert ours.best is not None
    assert ours.best.evaluation.fitness == float(oracle.stats.obj_max)


@pytest.mark.parametrize("seed", range(3))
def test_grid(seed: int) -> None:
    axes = [Axis("a", -2.0, 3.0, 5), Axis("b", 0.0, 1.0, 11), Axis("c", 100.0, 101.0, 3)]
    oracle = GridArchive(
        solution_dim=(),
        dims=[axis.cells for axis in axes],
        ranges=[(axis.low, axis.high) for axis in axes],
        qd_score_offset=-6.0,
        epsilon=0.0,
        dtype=np.float64,
    )
    compare(GridSpace(axes), oracle, seed, np.ones(3))


@pytest.mark.parametrize("seed", range(3))
def test_cvt(seed: int) -> None:
    axes = [Axis("a", 0.0, 1.0, 1), Axis("b", 0.0, 10.0, 1)]
    space = CVTSpace(axes, 80, seed=seed, samples=2000)
    # Our distances are in units of each axis' width, so the oracle gets unit axes.
    scale = np.array([1.0, 0.1])
    oracle = CVTArchive(
        solution_dim=(),
        centroids=space.centroids * scale,
        ranges=[(0.0, 1.0), (0.0, 1.0)],
        qd_score_offset=-6.0,
        dtype=np.float64,
    )
    compare(space, oracle, seed, scale)
