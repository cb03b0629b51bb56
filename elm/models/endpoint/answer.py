"""From an endpoint's JSON to a completion. Nothing in it is taken on trust."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec

LONGEST_TEXT = 262_144  # bytes of a completion that are kept
_MOST_TOKENS = 10_000_000  # nobody has written more; a count beyond it is a mistake
_CHARACTERS = 4  # of one token, where the endpoint does not count them


class NoAnswer(Exception):
    """The JSON holds no completion; says what it holds instead."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What an endpoint wrote, and what it counts for it."""

    text: str
    finish_reason: str  # stop or length; error where `error` says why
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    error: str = ""


def read(body: object, prompt: str) -> Answer:
    """The answer in a body of either API.

    Args:
        prompt: all of it, to estimate its tokens where the endpoint does not say.

    Raises:
        NoAnswer: if there is none.
    """
    choice = _choice(body)
    text, called = _text(choice)
    said = choice.get("finish_reason")
    finish = said if isinstance(said, str) else "stop"
    encoded = text.encode("utf-8", "replace")
    if len(encoded) > LONGEST_TEXT:
        encoded, finish = encoded[:LONGEST_TEXT], "length"
    usage = body.get("usage") if isinstance(body, Mapping) else None
    prompt_tokens, cached, completion_tokens = _usage(usage, prompt, text)
    error = ""
    if finish == "content_filter":
        error = "the endpoint's content filter stopped the answer"
    elif called and not text.strip():
        error = "the model called a tool and wrote nothing"
    return Answer(
        text=encoded.decode("utf-8", "ignore"),
        finish_reason="error" if error else "length" if finish == "length" else "stop",
        prompt_tokens=prompt_tokens,
        cached_tokens=cached,
        completion_tokens=completion_tokens,
        error=error,
    )


def _choice(body: object) -> Mapping[str, Any]:
    if not isinstance(body, Mapping):
        raise NoAnswer(f"with JSON that is no object ({type(body).__name__})")
    choices = body.get("choices")
    if not isinstance(choices, list):
        raise NoAnswer("without choices")
    if not choices:
        raise NoAnswer("with no choice at all")
    if not isinstance(choices[0], Mapping):
        raise NoAnswer("with a choice that is no object")
    return choices[0]


def _text(choice: Mapping[str, Any]) -> tuple[str, bool]:
    """The text of a choice, and whether there is a tool call instead."""
    said = choice.get("message")
    if said is None:
        text = choice.get("text")
        if text is not None and not isinstance(text, str):
            raise NoAnswer("with a text that is none")
        if text is None and "text" not in choice:
            raise NoAnswer("with a choice that has neither message nor text")
        return text or "", False
    if not isinstance(said, Mapping):
        raise NoAnswer("with a message that is no object")
    content, called = said.get("content"), bool(said.get("tool_calls") or said.get("function_call"))
    if isinstance(content, list):  # of parts, as some vendors put it
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        content = "".join(part for part in parts if isinstance(part, str))
    if content is None:
        content = ""
    if not isinstance(content, str):
        raise NoAnswer("with a content that is no text")
    return content, called


def _usage(usage: object, prompt: str, text: str) -> tuple[int, int, int]:
    """Tokens of prompt, of the part of it that was cached, and of the completion."""
    counts: Mapping[str, Any] = usage if isinstance(usage, Mapping) else {}
    prompt_tokens = _count(counts.get("prompt_tokens"))
    if prompt_tokens is None:
        prompt_tokens = math.ceil(len(prompt) / _CHARACTERS)
    completion_tokens = _count(counts.get("completion_tokens"))
    if completion_tokens is None:
        completion_tokens = math.ceil(len(text) / _CHARACTERS)
    details = counts.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    return prompt_tokens, min(cached or 0, prompt_tokens), completion_tokens


def _count(value: object) -> int | None:
    good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MOST_TOKENS
    return value if good and isinstance(value, int) else None
