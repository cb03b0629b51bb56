"""A model that answers at once, for benchmarks and tests. Knows nothing and needs no torch."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from elm.models.base import Completion, LanguageModel, Request

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?![\w.])")
_BLOCK = re.compile(r"^(```\w*\n)(.*?)^```", re.MULTILINE | re.DOTALL)


class StubModel(LanguageModel):
    """Repeats the last program it was shown with one of its numbers changed, as the seed says.

    In a text, it looks for where the end of the prompt (its last two lines) stood before, and goes
    on as the text went on there. A conversation it answers with the last fenced block.
    """

    def __init__(self, name: str = "stub") -> None:
        self.name = name
        self.active_parameters = {name: 0}

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        return [self._one(request) for request in requests]

    def _one(self, request: Request) -> Completion:
        shown = _answered(request) if request.messages else _continued(request.prompt)
        numbers = list(_NUMBER.finditer(shown))
        text = shown
        if numbers:
            rng = random.Random(request.seed)
            chosen = numbers[rng.randrange(len(numbers))]
            value = f"{float(chosen.group()) + rng.uniform(-3.0, 3.0):.3f}"
            text = text[: chosen.start()] + value + text[chosen.end() :]
        end = request.stop(text) if request.stop else None
        text = text[:end]
        return Completion(
            text=text,
            prompt_tokens=len(request.text.split()),
            completion_tokens=len(text.split()),
            finish_reason="stop" if end is not None or request.messages else "length",
        )

    def close(self) -> None:
        """Holds nothing."""


def _continued(prompt: str) -> str:
    lines = prompt.split("\n")
    for count in (2, 1):
        ending = "\n".join(lines[-count:])
        place = prompt.rfind(ending, 0, len(prompt) - len(ending))
        if place >= 0:
            return prompt[place + len(ending) :]
    return ""


def _answered(request: Request) -> str:
    """The last block of the conversation, from where the answer's prefill ends."""
    shown = "\n".join(message.content for message in request.messages)
    blocks = _BLOCK.findall(shown)
    if not blocks:
        return ""
    fence, program = blocks[-1]
    answer = f"{fence}{program}```"
    return answer.removeprefix(request.prefill)
