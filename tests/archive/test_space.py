from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from elm.archive import CVTSpace, GridSpace
from environments.base import Axis

AXES = (Axis("a", -1.0, 2.0, 3), Axis("b", 0.0, 1.0, 4), Axis("c", 10.0, 20.0, 7))


def test_cells_multiply_and_each_axis_has_its_own_number() -> None:
    space = GridSpace(AXES)
    assert (space.cells, space.dimensions) == (84, 3)
    assert space.cell_of((-1.0, 0.0, 10.0)) == 0
    assert space.cell_of((-1.0, 0.0, 20.0)) == 6
    assert space.cell_of((-1.0, 1.0, 10.0)) == 3 * 7
    assert space.cell_of((2.0, 1.0, 20.0)) == 83


def test_edges_belong_to_the_upper_cell_and_the_high_limit_to_the_last() -> None:
    space = GridSpace([Axis("x", 0.0, 1.0, 4)])
    assert [space.cell_of((x,)) for x in (0.0, 0.25, 0.5, 0.75, 1.0)] == [0, 1, 2, 3, 3]
    assert space.cell_of((math.nextafter(0.25, 0.0),)) == 0
    assert space.cell_of((math.nextafter(1.0, 0.0),)) == 3


@pytest.mark.parametrize("x", [math.nextafter(0.0, -1.0), math.nextafter(1.0, 2.0), -5.0, 1e300])
def test_outside_of_the_limits_is_no_cell(x: float) -> None:
    assert GridSpace([Axis("x", 0.0, 1.0, 4)]).cell_of((x,)) is None
    assert CVTSpace([Axis("x", 0.0, 1.0, 1)], 4, samples=50).cell_of((x,)) is None


@given(
    low=st.floats(-1e6, 1e6),
    width=st.floats(1e-3, 1e6),
    cells=st.integers(1, 200),
    share=st.floats(0.0, 1.0),
)
def test_a_cell_lies_between_the_edges_it_documents(
    low: float, width: float, cells: int, share: float
) -> None:
    axis = Axis("x", low, low + width, cells)
    space = GridSpace([axis])
    x = min(max(low + width * share, axis.low), axis.high)
    cell = space.cell_of((x,))
    assert cell is not None
    edges = [axis.low + (axis.high - axis.low) * k / cells for k in range(cells)] + [axis.high]
    assert edges[cell] <= x
    assert x < edges[cell + 1] or (cell == cells - 1 and x == axis.high)


@given(st.integers(0, 83))
def test_coordinates_invert_the_numbering(cell: int) -> None:
    space = GridSpace(AXES)
    indices = space.coordinates(cell)
    middle = [
        axis.low + (axis.high - axis.low) * (index + 0.5) / axis.cells
        for axis, index in zip(AXES, indices, strict=True)
    ]
    assert space.cell_of(middle) == cell


def test_no_such_cell() -> None:
    with pytest.raises(ValueError, match="expected 0 to 83, got 84"):
        GridSpace(AXES).coordinates(84)


def test_clip_moves_only_what_is_outside() -> None:
    assert GridSpace(AXES).clip((-3.0, 0.5, 99.0)) == (-1.0, 0.5, 20.0)
    assert CVTSpace(AXES, 5, samples=20).clip((5.0, -1.0, 15.0)) == (2.0, 0.0, 15.0)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ([], "at least one"),
        ([Axis("x", 0.0, 0.0, 3)], "'x'.*low < high"),
        ([Axis("x", 1.0, 0.0, 3)], "'x'.*low < high"),
        ([Axis("x", 0.0, math.inf, 3)], "'x'.*finite"),
        ([Axis("x", math.nan, 1.0, 3)], "'x'.*finite"),
        ([Axis("x", 0.0, 1.0, 0)], "'x'.*cells >= 1, got 0"),
        ([Axis("x", 0.0, 1.0, True)], "'x'.*cells >= 1, got True"),
        ([Axis("x", 0.0, 1.0, 3), Axis("x", 0.0, 1.0, 3)], "'x' is used twice"),
        ([Axis("x", 1e16, 1e16 + 4, 100)], "'x'.*narrower than floating point"),
        ([Axis(str(i), 0.0, 1.0, 1000) for i in range(6)], "cells in all"),
    ],
)
def test_impossible_axes_are_named(axes: list[Axis], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GridSpace(axes)


def test_centroids_depend_on_the_arguments_alone() -> None:
    one, other = (CVTSpace(AXES, 40, seed=3, samples=2000) for _ in range(2))
    assert one.centroids.tobytes() == other.centroids.tobytes()
    assert one.centroids.shape == (40, 3)
    assert not np.array_equal(one.centroids, CVTSpace(AXES, 40, seed=4, samples=2000).centroids)
    low, high = one.centroids.min(axis=0), one.centroids.max(axis=0)
    assert all(axis.low <= x for axis, x in zip(AXES, low, strict=True))
    assert all(x <= axis.high for axis, x in zip(AXES, high, strict=True))


def test_lloyd_spreads_the_centroids_evenly() -> None:
    axes = [Axis("x", 0.0, 1.0, 1), Axis("y", 0.0, 1.0, 1)]
    points = np.random.default_rng(9).random((4000, 2))

    def spread(space: CVTSpace) -> float:
        held = np.bincount([space.cell_of(point) for point in points], minlength=25)
        return float(held.std())

    before = spread(CVTSpace(axes, 25, samples=5000, iterations=0))
    assert spread(CVTSpace(axes, 25, samples=5000)) < 0.5 * before


def test_every_axis_counts_alike_whatever_its_unit() -> None:
    narrow = CVTSpace([Axis("x", 0.0, 1.0, 1), Axis("y", 0.0, 1.0, 1)], 30, samples=500)
    wide = CVTSpace([Axis("x", 0.0, 1.0, 1), Axis("y", 0.0, 1000.0, 1)], 30, samples=500)
    points = np.random.default_rng(0).random((200, 2))
    assert [narrow.cell_of((x, y)) for x, y in points] == [
        wide.cell_of((x, 1000.0 * y)) for x, y in points
    ]


def test_each_centroid_is_in_its_own_cell() -> None:
    space = CVTSpace(AXES, 60, samples=3000)
    assert [space.cell_of(space.clip(c)) for c in space.centroids] == list(range(60))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cells": 0}, "cells"),
        ({"cells": 9, "samples": 8}, "samples.*9"),
        ({"cells": 2, "seed": -1}, "seed"),
        ({"cells": 2, "iterations": -1}, "iterations"),
    ],
)
def test_impossible_centroids_are_named(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CVTSpace(AXES, **arguments)
