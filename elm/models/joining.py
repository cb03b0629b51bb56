"""Llama decoding in which rows join a batch that is under way, as others leave it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import torch

from elm.models.llama import NEVER, LlamaEngine, LlamaWeights, Memory
from elm.models.trunks import Group, Layout, common

_RECENT = 8  # trunks that are kept


class JoiningEngine(LlamaEngine):
    """A `LlamaEngine` whose batch can grow.

    Rows that stay keep what they wrote; it is moved to the left as far as the longest of them
    allows, so that the memory never grows with the age of the batch.
    """

    def __init__(self, weights: LlamaWeights) -> None:
        super().__init__(weights)
        self._groups: list[Group] = []
        self._lengths: list[int] = []
        self._recent: deque[_Trunk] = deque(maxlen=_RECENT)

    def join(self, layout: Layout, room: int) -> torch.Tensor:
        """Takes in the prompts behind the rows that are there, with space for `room` new tokens
        of each row; logits (new rows, vocabulary) of their first new tokens.

        No row that is there may have more than `room` tokens before it.
        """
        if not self._lengths:
            return self.start(layout, room)
        w, old = self.w, len(self._lengths)
        kept = (self._keys, self._values, self._hidden, self._column)
        groups, trunks = self._groups, (self._trunk_keys, self._trunk_values)
        lengths, positions = self._lengths, self._position
        logits = self.start(layout, room)
        new = len(self._lengths)
        # Columns that some old row uses, and those that the new rows' prompts use.
        taken = int((kept[2][..., : kept[3]] == 0).sum(-1).max())
        column = max(taken, self._own_start)
        shape = (old + new, w.kv_heads, column + room, w.head_size)
        hidden = torch.zeros(old + new, 1, 1, column + room, dtype=w.dtype, device=w.device)
        hidden[:, ..., :column] = NEVER
        before, here = slice(kept[3] - taken, kept[3]), slice(column - taken, column)
        fresh, there = slice(0, self._own_start), slice(column - self._own_start, column)
        hidden[:old, ..., here] = kept[2][..., before]
        hidden[old:, ..., there] = self._hidden[..., fresh]
        for layer in range(w.layers):
            for mine, theirs in ((self._keys, kept[0]), (self._values, kept[1])):
                both = torch.zeros(shape, dtype=w.dtype, device=w.device)
                both[:old, :, here] = theirs[layer][:, :, before]
                both[old:, :, there] = mine[layer][:, :, fresh]
                mine[layer] = both
        self._hidden, self._column, self._own_start = hidden, column, column
        self._position = torch.cat([positions, self._position])
        self._lengths = [*lengths, *self._lengths]
        self._trunk_keys = _stacked(trunks[0], self._trunk_keys)
        self._trunk_values = _stacked(trunks[1], self._trunk_values)
        self._groups = [*groups, *self._groups]
        self._alive = list(range(old + new))
        self._regroup()
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows only, in rising order; with none, it forgets all."""
        if rows:
            super().keep(rows)
        else:
            self._groups, self._lengths = [], []

    def _trunk(
        self, tokens: tuple[int, ...], skip: int, base: Memory | None
    ) -> tuple[torch.Tensor, Memory, int]:
        # Siblings seldom arrive together, so that a trunk is looked for among the last ones.
        shared, nearest = skip, None
        for trunk in self._recent:
            alike = common(trunk.tokens, tokens)
            if trunk.skip == skip and alike > shared:
                shared, nearest = alike, trunk
        if nearest is None:
            x, memory = self._segment(tokens[skip:], base)
        else:
            x, memory = nearest.x[: shared - skip], _cut(nearest.memory, shared)
            if shared < len(tokens):
                more, memory = self._segment(tokens[shared:], memory)
                x = torch.cat([x, more])
        if nearest is None or shared < len(tokens):
            self._recent.append(_Trunk(tokens, skip, x, memory))
        return x, memory, shared if nearest else 0


class _Trunk(NamedTuple):
    """A trunk that was computed not long ago."""

    tokens: tuple[int, ...]
    skip: int  # tokens of the base, for which there are no hidden states
    x: torch.Tensor
    memory: Memory


def _cut(memory: Memory, length: int) -> Memory:
    return [k[:, :length] for k in memory[0]], [v[:, :length] for v in memory[1]]


def _stacked(old: list[torch.Tensor], new: list[torch.Tensor]) -> list[torch.Tensor]:
    """Trunks (groups, heads, length, size) of both, one behind the other."""
    longest = max(old[0].shape[2], new[0].shape[2])

    def padded(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(x, (0, 0, 0, longest - x.shape[2]))

    return [torch.cat([padded(a), padded(b)]) for a, b in zip(old, new, strict=True)]
