"""What decides a batch's next tokens besides the logits, kept where the logits are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch

from elm.models.sampling import Sampling, draw, uniform


class Wish(Protocol):
    """A row, as far as its draws are concerned."""

    seed: int
    avoid: Sequence[int]
    penalty: float


class Chooser:
    """Draws the next token of each row, from its own numbers, at its own step.

    Nothing is read back from the device for it. All that a row needs for `room` steps is sent
    there beforehand.
    """

    def __init__(
        self, rows: Sequence[Wish], how: Sampling, room: int, device: torch.device
    ) -> None:
        self._how = how
        # One more than there can be steps: nothing is left to avoid at the last.
        avoid = torch.zeros(len(rows), room + 1, dtype=torch.int64)
        for i, row in enumerate(rows):
            given = row.avoid[:room]
            avoid[i, : len(given)] = torch.tensor(given, dtype=torch.int64)
        dearer = [row.penalty for row in rows]
        lengths = [min(len(row.avoid), room) for row in rows]
        self._avoid = avoid.to(device)
        self._lengths = torch.tensor(lengths, device=device)
        self._dearer = torch.tensor(dearer, dtype=torch.float32, device=device)
        self._copies = torch.ones(len(rows), dtype=torch.bool, device=device)
        self._steps = torch.zeros(len(rows), 1, dtype=torch.int64, device=device)
        numbers = [uniform(row.seed, room + 1) for row in rows]
        self._numbers = torch.tensor(numbers, dtype=torch.float64, device=device)

    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        """(rows,) of int64, from logits (rows, vocabulary), which it changes.

        It becomes less likely that a row repeats what it should not, for as long as it has
        written nothing else. It is the uncertain tokens (a number, a name) that this changes,
        while syntax, of which a model is sure, stays as it is.
        """
        likely = self._avoid.gather(1, self._steps)
        still = self._copies & (self._steps[:, 0] < self._lengths)
        logits.scatter_add_(1, likely, -(self._dearer * still).unsqueeze(1))
        drawn = draw(logits, self._numbers.gather(1, self._steps)[:, 0], self._how)
        self._copies = still & (drawn == likely[:, 0])
        self._steps = (self._steps + 1).clamp_(max=self._avoid.shape[1] - 1)
        return drawn

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows only, in this order."""
        index = torch.tensor(rows, device=self._steps.device)
        for name in _PER_ROW:
            setattr(self, name, getattr(self, name)[index])

    def join(self, other: Chooser) -> None:
        """Takes in the rows of another, behind its own."""
        for name in _PER_ROW:
            setattr(self, name, torch.cat([getattr(self, name), getattr(other, name)]))


_PER_ROW = ("_avoid", "_lengths", "_dearer", "_copies", "_steps", "_numbers")


def works_alone(device: torch.device) -> bool:
    """Whether the device goes on while this process does something else."""
    return device.type in ("cuda", "xpu")


class Arriving:
    """Tokens on their way to this process. What is begun on the device meanwhile is not awaited."""

    def __init__(self, drawn: torch.Tensor) -> None:
        self._event: Any = None
        if not works_alone(drawn.device):
            self._tokens = drawn.cpu()
            return
        self._tokens = drawn.to("cpu", non_blocking=True)  # into pinned memory
        self._event = torch.Event(drawn.device)
        self._event.record()

    def tokens(self) -> list[int]:
        """(rows,), once they are here."""
        if self._event is not None:
            self._event.synchronize()
        return list(map(int, self._tokens.tolist()))
