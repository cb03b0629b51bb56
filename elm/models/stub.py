"""A model that answers at once, for benchmarks and tests. Knows nothing and needs no torch."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from elm.models.base import Completion, Request

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")


class StubModel:
    """Repeats the last program of a prompt with one of its numbers changed, as the seed says.

    It looks for where the end of the prompt (its last two lines) stood before, and goes on as the
    text went on there.
    """

    active_parameters: int | None = 0

    def __init__(self, name: str = "stub") -> None:
        self.name = name

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Completion:
        lines = request.prompt.split("\n")
        for count in (2, 1):
            ending = "\n".join(lines[-count:])
            place = request.prompt.rfind(ending, 0, len(request.prompt) - len(ending))
            if place >= 0:
                break
        text = request.prompt[place + len(ending) :] if place >= 0 else ""
        numbers = list(_NUMBER.finditer(text))
        if numbers:
            rng = random.Random(request.seed)
            chosen = numbers[rng.randrange(len(numbers))]
            value = f"{float(chosen.group()) + rng.uniform(-3.0, 3.0):.3f}"
            text = text[: chosen.start()] + value + text[chosen.end() :]
        end = request.stop(text) if request.stop else None
        text = text[:end]
        return Completion(
            text=text,
            prompt_tokens=len(request.prompt.split()),
            completion_tokens=len(text.split()),
            finish_reason="stop" if end is not None else "length",
        )

    def close(self) -> None:
        """Holds nothing."""
