"""How long to wait before an endpoint is asked again."""

from __future__ import annotations

import random

LONGEST = 60.0  # seconds, whatever the endpoint asks for


def pause(tries: int, first: float, asked: float | None, rng: random.Random) -> float:
    """Doubles with each try and is spread by half either way, so that those who failed together do
    not come back together.

    Args:
        tries: so far, at least 1.
        first: seconds after the first try.
        asked: what the endpoint itself asks for; never less than that, up to the bound.
    """
    own = min(LONGEST, first * 2.0 ** min(tries - 1, 30))
    spread = own * rng.uniform(0.5, 1.5)
    if asked is not None:
        return min(LONGEST, max(asked, 0.0) + own * rng.uniform(0.0, 0.5))
    return min(LONGEST, spread)
