"""A walker from functions over space, after compositional pattern-producing networks.

The idea (Stanley, 2007; the CPPN seeds of "Evolution through Large Models", Lehman et al., 2022):
joints lie on a grid, and functions of two joints' places say whether a muscle connects them, with
which amplitude and which phase.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from environments.sodarace.walker import WalkerCreator

PairFunction = Callable[[float, float, float, float], Any]


def query_cppn(
    wc: WalkerCreator,
    columns: int,
    rows: int,
    spacing: float,
    connect: PairFunction,
    amplitude: PairFunction,
    phase: PairFunction,
) -> None:
    """Adds a grid of joints and the muscles that three functions of their places ask for.

    Args:
        columns, rows: joints of the grid.
        spacing: metres between neighbours.
        connect: whether two joints are connected, called as `connect(x0, y0, x1, y1)` with
            places scaled to [-1, 1] in both directions.
        amplitude, phase: called in the same way for each muscle.
    """
    places = [
        (_scaled(column, columns), _scaled(row, rows), column * spacing, row * spacing)
        for row in range(int(rows))
        for column in range(int(columns))
    ]
    joints = [wc.add_joint(x, y) for _, _, x, y in places]
    for i, (x0, y0, _, _) in enumerate(places):
        for j in range(i):
            x1, y1 = places[j][:2]
            if joints[i] != joints[j] and connect(x0, y0, x1, y1):
                strength = amplitude(x0, y0, x1, y1)
                wc.add_muscle(joints[i], joints[j], strength, phase(x0, y0, x1, y1))


def _scaled(index: int, count: int) -> float:
    return 2.0 * index / (count - 1) - 1.0 if count > 1 else 0.0
