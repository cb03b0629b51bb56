"""Draws tokens from logits, each row by its own counter-based random numbers."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import torch

_MASK = (1 << 64) - 1
_FIRST_LOOK = 64  # tokens looked at before it is known how many the nucleus needs


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """How a token is drawn.

    `temperature` 0 takes the likeliest. `top_p` keeps the smallest set of likeliest tokens whose
    probability reaches it (nucleus sampling, Holtzman et al., 2020); `top_k` caps that set, 0
    leaves it.
    """

    temperature: float = 1.0
    top_p: float = 0.95
    top_k: int = 0

    def __post_init__(self) -> None:
        if not self.temperature >= 0:
            raise ValueError(f"model.temperature must not be below 0, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"model.top_p must be above 0 and at most 1, got {self.top_p}")
        if self.top_k < 0:
            raise ValueError(f"model.top_k must not be below 0, got {self.top_k}")


def uniform(seed: int, steps: int) -> list[float]:
    """Numbers in [0, 1), each of `seed` and its step alone (splitmix64, Steele et al., 2014)."""
    step = np.arange(steps, dtype=np.uint64)
    x = step * np.uint64(0xD1342543DE82EF95)
    x += np.uint64((seed * 0x9E3779B97F4A7C15 + 0x632BE59BD9B4E019) & _MASK)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor)
    numbers: list[float] = (((x ^ (x >> np.uint64(31))) >> np.uint64(11)) / (1 << 53)).tolist()
    return numbers


def _ranked(logits: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` largest of each row, in falling order; of equal ones the lower token first."""
    values, tokens = logits.topk(count, dim=-1)
    tokens, order = tokens.sort(dim=-1)
    values, order = values.gather(-1, order).sort(dim=-1, descending=True, stable=True)
    return values, tokens.gather(-1, order)


def draw(
    logits: torch.Tensor, numbers: Sequence[float] | torch.Tensor, how: Sampling
) -> torch.Tensor:
    """One token for each row, by inverting the cumulative distribution.

    The vocabulary is never sorted: the likeliest tokens are looked up in growing numbers until
    they hold the nucleus of every row.

    Args:
        logits: (rows, vocabulary).
        numbers: (rows,), uniform in [0, 1).

    Returns:
        (rows,) of int64, on the logits' device.
    """
    if how.temperature == 0:
        return logits.argmax(dim=-1)
    logits = logits.float() / how.temperature
    whole = torch.logsumexp(logits, dim=-1, keepdim=True)
    most = min(how.top_k or logits.shape[-1], logits.shape[-1])
    count = min(_FIRST_LOOK, most)
    while True:
        values, tokens = _ranked(logits, count)
        chances = (values - whole).double().exp()
        reached = chances.cumsum(dim=-1)
        if count == most or bool((reached[:, -1] >= how.top_p).all()):
            break
        count = min(count * 4, most)
    # A token belongs to the nucleus if those before it have not reached top_p yet.
    chances = chances * (reached - chances < how.top_p)
    reached = chances.cumsum(dim=-1)
    aim = torch.as_tensor(numbers, dtype=torch.float64, device=logits.device).unsqueeze(1)
    place = (reached <= aim * reached[:, -1:]).sum(dim=-1, keepdim=True)
    return tokens.gather(-1, place.clamp_(max=count - 1)).squeeze(1)
