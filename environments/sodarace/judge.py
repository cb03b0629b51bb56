"""Scores a walker by letting it run. Never sees the program.

Fitness is the distance in metres that the centre of mass covers along flat ground, either way,
after the walker has settled. A walker that never comes to rest before time starts, or that goes
where Box2D no longer solves its own equations (it limits speeds at 120 m/s), has covered 0.
"""

from __future__ import annotations

import math
from typing import Any

from environments.artifact import BadArtifact
from environments.sodarace.design import read
from environments.sodarace.physics import Motion, simulate

MAX_SPEED = 110.0  # m/s of a joint
MAX_LIFT = 15.0  # m between the ground and the lowest joint


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fitness, descriptor (height m, width m, mass kg as designed) and metrics of a walker.

    Raises:
        BadArtifact: if it is no walker.
    """
    try:
        design = read(artifact)
    except ValueError as error:
        raise BadArtifact(str(error)) from None
    motion = simulate(design, settings)
    sound = is_sound(motion)
    displacement = motion.end - motion.start if sound else 0.0
    return {
        "fitness": abs(displacement),
        "descriptor": [design.height, design.width, design.mass],
        "metrics": {
            "displacement": displacement,
            "joints": float(len(design.joints)),
            "muscles": float(len(design.muscles)),
            "sound": float(sound),
        },
    }


def is_sound(motion: Motion) -> bool:
    """Whether the walker came to rest in time, and nothing impossible happened afterwards."""
    return (
        motion.settled is not None
        and math.isfinite(motion.end)
        and motion.fastest < MAX_SPEED
        and motion.highest < MAX_LIFT
    )
