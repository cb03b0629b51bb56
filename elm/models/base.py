"""What the search asks of a language model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from elm.allocation.base import Allocation

StopRule = Callable[[str], int | None]
"""Given the completion so far, where it ends (an index into it), or None while it is unfinished."""


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One completion to be made: of a text, or of a conversation."""

    prompt: str = ""  # a text to be continued; or
    messages: tuple[Message, ...] = ()  # a conversation to be answered
    prefill: str = ""  # of a conversation: how the answer begins, no part of the completion
    seed: int  # decides the sampling of this completion, whatever else is in the batch
    stop: StopRule | None = None
    shared: int = 0  # leading characters that every prompt of the run has; kept between calls
    avoid: str = ""  # a text that the completion should not merely repeat
    penalty: float = 0.0  # taken from the logit of each token of it while nothing else is written
    model: str = ""  # which member of an ensemble is to write it; "": let it choose

    @property
    def text(self) -> str:
        """All of it as one text, for the journal and for counting."""
        turns = "".join(f"[{message.role}]\n{message.content}\n" for message in self.messages)
        return turns + self.prefill if self.messages else self.prompt


class Completion(msgspec.Struct, frozen=True, kw_only=True):
    """What came back, and what it cost."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    finish_reason: str = "stop"  # stop, length or error
    latency: float = 0.0  # seconds that the batch took
    model: str = ""  # who wrote it, where that is not the model itself
    cost: float = 0.0  # in the currency of the model's prices
    tries: int = 1  # how often an endpoint was asked until it answered
    error: str = ""  # one line, where the finish reason is "error"


class ModelError(Exception):
    """The model could not be loaded or reached; the message says what to do, in one line."""


class FatalModelError(ModelError):
    """Asking again cannot help: a wrong key, a model that is not there. Operators let it through,
    so that it ends the run; what was paid for until then stays in the journal."""


class LanguageModel(ABC):
    """Completes prompts in batches.

    Where `reproducible`, the same requests in the same order give the same completions, bit for
    bit, on the same hardware with the same number of threads. What goes wrong with one request is
    a completion with finish reason "error"; the others are not touched by it.
    """

    name: str
    active_parameters: Mapping[str, int | None]
    """Parameters that take part in each token, by the names that completions carry (its own name
    alone, but for ensembles); None where nobody knows."""

    unit: int | None = None
    """Requests that are made together, as a fixed micro-batch; None: any number."""

    lanes: int = 1
    """Threads that may call `complete` at one time."""

    continues: bool = True
    """Whether it goes on with a text; False where it answers conversations only."""

    prefills: bool = True
    """Whether it goes on behind a request's `prefill`; False where the prefill is left out and
    the answer is whole."""

    priced: bool = True
    """Whether completions say what they cost; False where nobody knows the prices."""

    fingerprint: str = ""
    """Checksum of what decides the completions beyond the settings, as an adapter's content."""

    reproducible: bool = True
    allocation: Allocation | None = None
    """Of an ensemble: how its members are chosen."""

    @abstractmethod
    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion for each request, in their order.

        Raises:
            ModelError: if no completion could be made at all.
            FatalModelError: if none ever will be.
        """

    @abstractmethod
    def close(self) -> None:
        """Frees what the model holds."""
