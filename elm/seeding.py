"""Where all randomness of a run comes from: its seed, the block and the index, and nothing else."""

from __future__ import annotations

import hashlib


def derive(seed: int, *where: int | str) -> int:
    """A seed of 63 bits for one place of a run, independent of those of all other places."""
    text = "/".join(map(str, (seed, *where)))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1
