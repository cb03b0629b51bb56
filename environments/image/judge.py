"""Scores a picture by its shape, whatever its colours. Never sees the program.

A picture is reduced to the one mixture of its three channels that comes nearest to the target
shape, by least squares. Fitness is the correlation of that mixture with the target: 0 for a plain
area, 1 for the exact shape in any two colours. Colour is left free, since mean red, green and blue
are what the archive tells pictures apart by.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import numpy as np

from environments.artifact import BadArtifact
from environments.image.canvas import BYTES, CHANNELS, SIDE
from environments.image.targets import target


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fitness in [0, 1] and descriptor (mean red, green, blue in [0, 255]) of a picture.

    Raises:
        BadArtifact: if it is not 3072 bytes as base64.
    """
    if not isinstance(artifact, str) or len(artifact) != BYTES // 3 * 4:
        raise BadArtifact(f"a picture is {BYTES} bytes as base64")
    try:
        data = base64.b64decode(artifact, validate=True)
    except (ValueError, binascii.Error):
        raise BadArtifact("a picture must be valid base64") from None
    if len(data) != BYTES:  # padding inside the right length
        raise BadArtifact(f"a picture is {BYTES} bytes, got {len(data)}")
    pixels = np.frombuffer(data, np.uint8).reshape(SIDE * SIDE, CHANNELS).astype(float)
    means = pixels.mean(axis=0)
    return {
        "fitness": _likeness(pixels - means, target(settings["target"]).ravel()),
        "descriptor": [float(mean) for mean in means],
    }


def _likeness(channels: np.ndarray, shape: np.ndarray) -> float:
    """Multiple correlation of (n, 3) centred channels with a shape of (n,), in [0, 1].

    Solved by hand, channel by channel (Gram-Schmidt), so that the last bits do not depend on
    which linear algebra library is installed, or on how many threads it uses.
    """
    shape = shape - shape.mean()
    explained = 0.0
    basis: list[np.ndarray] = []
    for k in range(channels.shape[1]):
        rest = channels[:, k]
        size = float((rest * rest).sum())
        for other in basis:
            rest = rest - float((rest * other).sum()) * other
        left = float((rest * rest).sum())
        if left > 1e-9 * size:  # else the channel says nothing new
            unit = rest / left**0.5
            basis.append(unit)
            explained += float((unit * shape).sum()) ** 2
    return min(1.0, (explained / float((shape * shape).sum())) ** 0.5)
