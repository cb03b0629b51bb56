"""Sodarace: evolve programs that build two-dimensional walkers.

After the Sodarace domain of "Evolution through Large Models" (Lehman et al., 2022), whose niches
are height, width and mass. The physics is that of `environments.sodarace.physics`, and runs in
the judge.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, ClassVar

from environments import settings
from environments.base import Axis, Environment, Objective, Program, Prompt, Seed
from environments.sodarace.design import JOINT_KG
from environments.sodarace.seeds import SEEDS

FILE = "walker.py"
TERRAINS = ("flat",)

PREAMBLE = '''\
"""Walkers of joints and muscles.

wc.add_joint(x, y): adds a joint at a place in metres and returns it.
wc.add_muscle(a, b, amplitude, phase): connects two different joints. The muscle swings by
    `amplitude` metres around its length; 0.0 is a stiff bone. `phase` from 0.0 to 1.0 says when.
wc.get_walker(): the finished walker; every joint must be connected to the others by muscles.
"""
import math
'''


class Sodarace(Environment):
    """Programs `make_walker()` that build walkers of joints and muscles.

    Fitness is the distance in metres that the centre of mass covers along the ground, either way,
    in `seconds` after the walker has settled.

    Args:
        seconds: simulated seconds that count.
        settle_seconds: the most simulated seconds before them that a walker has to come to rest.
        terrain: "flat", the only ground so far.
        seeds: which walkers to start from, of `environments.sodarace.seeds`.

    Raises:
        ValueError: for a wrong value, naming the key.
    """

    name = "sodarace"
    version = 1
    axes = (
        Axis("height", 0.0, 30.0, 12, "m"),
        Axis("width", 0.0, 30.0, 12, "m"),
        # Three joints a cell, from 3 joints to 38, with limits that no walker's mass lies on.
        Axis("mass", 2.5 * JOINT_KG, 38.5 * JOINT_KG, 12, "kg"),
    )
    objective = Objective("distance", f_min=0.0, unit="m")
    prompt = Prompt(
        instruction=(
            "make_walker() builds a walker of joints and muscles that runs along flat ground. "
            "The further it gets, the better."
        ),
        file=FILE,
        entry="make_walker",
        opening="def make_walker():\n    wc = walker_creator()",
        preamble=PREAMBLE,
        commit_messages=(
            ("Changed make_walker function.", 0.4),
            ("Changed parameters in make_walker function.", 0.3),
            ("Small change to make_walker function.", 0.3),
        ),
    )
    preload = ("numpy",)
    producer_modules: ClassVar[tuple[str, ...]] = (
        "environments.sodarace.producer",
        "environments.sodarace.cppn",
        "environments.sodarace.walker",
        "environments.sodarace.design",
    )
    judge_modules: ClassVar[tuple[str, ...]] = (
        "environments.sodarace.judge",
        "environments.sodarace.physics",
        "environments.sodarace.design",
        "environments.artifact",
    )

    def __init__(
        self,
        seconds: float = 10.0,
        settle_seconds: float = 30.0,
        terrain: str = "flat",
        seeds: Sequence[str] = tuple(SEEDS),
    ) -> None:
        self._seconds = settings.number("seconds", seconds, above=0.0, at_most=120.0)
        self._settle = settings.number("settle_seconds", settle_seconds, above=0.0, at_most=120.0)
        self._terrain = settings.choice("terrain", terrain, TERRAINS)
        self._seeds = settings.choices("seeds", seeds, SEEDS)

    def seeds(self) -> list[Seed]:
        return [Seed(name, Program({FILE: SEEDS[name]})) for name in self._seeds]

    def judge_settings(self) -> dict[str, Any]:
        return {
            "seconds": self._seconds,
            "settle_seconds": self._settle,
            "terrain": self._terrain,
        }

    def random_program(self, rng: random.Random) -> Program:
        """A connected walker of 3 to 12 joints at random places, written statement by statement."""
        lines = ["def make_walker():", "    wc = walker_creator()"]
        joints = rng.randint(3, 12)
        # Drawn without replacement from a lattice of half metres: no two at one place.
        for i, place in enumerate(rng.sample(range(41 * 41), joints)):
            x, y = place % 41 / 2, place // 41 / 2
            lines.append(f"    j{i} = wc.add_joint({x}, {y})")
        pairs = {(rng.randrange(b), b) for b in range(1, joints)}  # a tree: all connected
        for _ in range(rng.randint(0, 2 * joints)):
            a, b = sorted(rng.sample(range(joints), 2))
            pairs.add((a, b))
        for a, b in sorted(pairs):
            amplitude, phase = round(rng.uniform(0.0, 4.0), 1), round(rng.random(), 2)
            lines.append(f"    wc.add_muscle(j{a}, j{b}, {amplitude}, {phase})")
        lines.append("    return wc.get_walker()")
        return Program({FILE: "\n".join(lines) + "\n"})

    def render(self, artifact: Any) -> str | None:
        from environments.sodarace.picture import draw  # needs Box2D, which a search does not

        return draw(artifact, self.judge_settings())
