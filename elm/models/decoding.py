"""The loop that turns prompts into completions: one token a step for every row still alive."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec
import torch

from elm.models.base import StopRule
from elm.models.choosing import Arriving, Chooser, works_alone
from elm.models.sampling import Sampling
from elm.models.trunks import Layout

STALE = 0.25  # the share of finished rows at which the batch is made smaller


class Engine(Protocol):
    """Runs one batch of rows; `logits` are (rows, vocabulary) in float32."""

    cached: list[int]
    """Of each row that was started: prompt tokens that were computed for another."""

    def start(self, layout: Layout, room: int) -> torch.Tensor:
        """Takes in the prompts, with space for `room` new tokens; logits of the first of them."""

    def step(self, tokens: torch.Tensor) -> torch.Tensor:
        """Appends one token to each row; logits of the next."""

    def keep(self, rows: Sequence[int]) -> None:
        """Goes on with these rows only, in rising order."""


class Vocabulary:
    """Text to tokens and back, and which tokens end a line or a text."""

    def __init__(self, tokenizer: Any, ends: Sequence[int]) -> None:
        self._tokenizer = tokenizer
        self.ends = frozenset(ends)
        self._newline: dict[int, bool] = {}

    def encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))

    def decode(self, tokens: Sequence[int]) -> str:
        return str(
            self._tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            )
        )

    def ends_line(self, token: int) -> bool:
        known = self._newline.get(token)
        if known is None:
            known = self._newline[token] = "\n" in self.decode([token])
        return known

    def cut(self, tokens: Sequence[int], end: int) -> int:
        """How many tokens the first `end` characters of their text need."""
        count = len(tokens)
        while count and len(self.decode(tokens[: count - 1])) >= end:
            count -= 1
        return count


class Row(msgspec.Struct):
    """One completion in the making."""

    seed: int
    stop: StopRule | None
    avoid: Sequence[int] = ()  # tokens not to be repeated, and how much that is made dearer
    penalty: float = 0.0
    tokens: list[int] = []
    text: str | None = None  # set once it is finished
    count: int = 0  # tokens of the text
    finish_reason: str = "stop"

    def _finish(self, words: Vocabulary, end: int | None, reason: str) -> None:
        text = words.decode(self.tokens)
        self.text = text if end is None else text[:end]
        self.count = len(self.tokens) if end is None else words.cut(self.tokens, end)
        self.finish_reason = reason

    def take(self, token: int, words: Vocabulary, room: int) -> None:
        """Appends a token, and finishes the row where its rule, the model or the room says so."""
        if token in words.ends:
            self._finish(words, self._end(words), "stop")
            return
        self.tokens.append(token)
        # A function ends with a line, so that no rule has to look before there is a new one.
        full = len(self.tokens) >= room
        end = self._end(words) if full or words.ends_line(token) else None
        if end is not None:
            self._finish(words, end, "stop")
        elif full:
            self._finish(words, None, "length")

    def _end(self, words: Vocabulary) -> int | None:
        return self.stop(words.decode(self.tokens)) if self.stop else None


@torch.inference_mode()
def generate(
    engine: Engine,
    layout: Layout,
    rows: Sequence[Row],
    words: Vocabulary,
    how: Sampling,
    room: int,
    ahead: bool | None = None,
) -> None:
    """Fills in the rows. A row's draws depend on its own seed and step alone.

    Args:
        ahead: whether a step is begun before the tokens that it appends are looked at here, so
            that an accelerator never waits for this loop; it costs one step beyond the end. None:
            where there is an accelerator. The completions are the same.
    """
    logits = engine.start(layout, room)
    if ahead is None:
        ahead = works_alone(logits.device)
    alive, chooser = list(rows), Chooser(rows, how, room, logits.device)
    for step in range(room):
        drawn = chooser.draw(logits)
        arriving = Arriving(drawn)
        if ahead and step + 1 < room:
            logits = engine.step(drawn)
        for row, token in zip(alive, arriving.tokens(), strict=True):
            if row.text is None:
                row.take(token, words, room)
        left = [i for i, row in enumerate(alive) if row.text is None]
        if not left:
            return
        # Moving caches costs as much as some steps, so finished rows go a quarter at a time.
        if len(alive) - len(left) >= max(1.0, STALE * len(alive)):
            engine.keep(left)
            chooser.keep(left)
            alive = [alive[i] for i in left]
            drawn, logits = drawn[left], logits[left]
        if not ahead:
            logits = engine.step(drawn)
