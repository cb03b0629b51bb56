"""Decoding of any causal model through its own `forward`. Shares no prompts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from elm.models.trunks import Layout


class GenericEngine:
    """Keeps the cache that `transformers` makes, with prompts padded on the left."""

    def __init__(self, model: Any, device: torch.device) -> None:
        self._model, self._device = model, device
        self._cache: Any = None
        self.cached: list[int] = []

    def _forward(self, tokens: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
        output = self._model(
            input_ids=tokens,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
        )
        self._cache = output.past_key_values
        return output.logits[:, -1].float()

    def start(self, layout: Layout, room: int) -> torch.Tensor:
        prompts = [
            group.trunk[: row.shared] + row.rest for group in layout.groups for row in group.rows
        ]
        self.cached = [0] * len(prompts)
        longest = max(map(len, prompts))
        tokens = torch.zeros(len(prompts), longest, dtype=torch.int64)
        mask = torch.zeros_like(tokens)
        for i, prompt in enumerate(prompts):
            tokens[i, longest - len(prompt) :] = torch.tensor(prompt)
            mask[i, longest - len(prompt) :] = 1
        self._mask = mask.to(self._device)
        self._cache = None
        self._position = self._mask.sum(1, keepdim=True)
        positions = (self._mask.cumsum(1) - 1).clamp_(min=0)
        return self._forward(tokens.to(self._device), positions)

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        self._mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], 1)
        logits = self._forward(tokens.unsqueeze(1).to(self._device), self._position)
        self._position = self._position + 1
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        index = torch.tensor(rows)  # on the processor: layers may lie on several devices
        self._cache.batch_select_indices(index)
        self._mask, self._position = self._mask[index], self._position[index]
