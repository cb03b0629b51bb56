"""What the search asks of a language model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

StopRule = Callable[[str], int | None]
"""Given the completion so far, where it ends (an index into it), or None while it is unfinished."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One completion to be made."""

    prompt: str
    seed: int  # decides the sampling of this completion, whatever else is in the batch
    stop: StopRule | None = None
    shared: int = 0  # leading characters that every prompt of the run has; kept between calls
    avoid: str = ""  # a text that the completion should not merely repeat
    penalty: float = 0.0  # taken from the logit of each token of it while nothing else is written


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, and what it cost."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    finish_reason: str = "stop"  # stop, length or error
    latency: float = 0.0  # seconds that the batch took


class ModelError(Exception):
    """The model could not be loaded or reached; the message says what to do, in one line."""


class LanguageModel(Protocol):
    """Completes prompts in batches.

    The same requests in the same order give the same completions, bit for bit, on the same
    hardware with the same number of threads. Owned by one thread at a time.
    """

    name: str
    active_parameters: int | None  # for FLOPs accounting; None where nobody knows

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion for each request, in their order.

        Raises:
            ModelError: if no completion could be made at all.
        """

    def close(self) -> None:
        """Frees the memory that the model holds."""
