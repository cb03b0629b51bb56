"""Requests to tokens: texts that are continued, and conversations in the model's own template."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from elm.models.base import FatalModelError, ModelError, Request
from elm.models.decoding import Vocabulary


class RefusedError(ValueError):
    """This one request cannot be completed; the message says why, in one line."""


class Encoded(msgspec.Struct, frozen=True):
    """The tokens of a request."""

    tokens: tuple[int, ...]
    base: int  # how many of them every request of the run begins with, as far as is known
    avoid: tuple[int, ...]  # those that should not be repeated


class Encoder:
    """Turns requests into tokens.

    Args:
        name: of the model, for messages.
        tokenizer: with a chat template, where conversations are to be answered.
        context: tokens that the model can hold, or None where it does not say.
        room: tokens of a completion at most.
    """

    def __init__(
        self, name: str, tokenizer: Any, words: Vocabulary, context: int | None, room: int
    ) -> None:
        self._name, self._tokenizer, self._words = name, tokenizer, words
        self._context, self._room = context, room

    def encode(self, request: Request) -> Encoded:
        """The tokens of a request.

        Raises:
            RefusedError: if it is empty, or too long for the context.
            FatalModelError: if it is a conversation and the model has no template for one.
            ModelError: if its template refuses this one.
        """
        text, shared = request.prompt, request.shared
        if request.messages:
            text, shared = self._conversation(request)
        base = self._words.encode(text[:shared]) if shared else []
        tokens = base + self._words.encode(text[shared:])
        if not tokens:
            raise RefusedError(f"model {self._name}: a prompt is empty; it needs at least a token")
        if self._context is not None and len(tokens) + self._room > self._context:
            raise RefusedError(
                f"model {self._name}: a prompt of {len(tokens)} tokens and max_new_tokens="
                f"{self._room} do not fit its context of {self._context}; "
                "show fewer parents or lower model.max_new_tokens"
            )
        avoid = self._words.encode(request.avoid) if request.avoid else []
        return Encoded(tuple(tokens), len(base), tuple(avoid))

    def _conversation(self, request: Request) -> tuple[str, int]:
        """The conversation up to where its answer goes on, and the length of what it opens with.

        What the template itself adds, as a system message where there is none, stays.
        """
        turns = [{"role": m.role, "content": m.content} for m in request.messages]
        text = self._render(turns, True) + request.prefill
        if turns[0]["role"] != "system" or len(turns) == 1:
            return text, 0
        # The system message is the run's; where a template can show it alone, it is a beginning
        # that all conversations share, and computed once.
        try:
            opening = self._render(turns[:1], False)
        except ModelError:  # some know no conversation without a user
            return text, 0
        return text, len(opening) if text.startswith(opening) else 0

    def _render(self, turns: Sequence[dict[str, str]], ask: bool) -> str:
        if not getattr(self._tokenizer, "chat_template", None):
            raise FatalModelError(
                f"model {self._name}: its tokenizer has no chat template, so it cannot answer "
                "conversations; choose a variation.shape that continues a text (few_shot, "
                "partial, splice, infill or mixed), or a model that was tuned for chat"
            )
        try:
            return str(
                self._tokenizer.apply_chat_template(
                    turns, tokenize=False, add_generation_prompt=ask
                )
            )
        except Exception as error:  # a template is a program that came with the model
            lines = str(error).splitlines() or [type(error).__name__]
            raise ModelError(
                f"model {self._name}: its chat template refuses this conversation: {lines[0]}"
            ) from error
