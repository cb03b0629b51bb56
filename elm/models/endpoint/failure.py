"""What can go wrong with an endpoint: what is said of it, and whether asking again may help."""

from __future__ import annotations

import email.utils
import re
import time
from collections.abc import Mapping
from enum import Enum
from typing import Any

from elm.models.endpoint.keys import Redactor

_TIMEOUTS = (408, 504)
_NO_CONNECTION = ("ConnectError", "ConnectTimeout", "ConnectionRefusedError", "gaierror")
# What a library puts before the endpoint's own words: "litellm.NotFoundError: X: YException - ".
_PREFIX = re.compile(r"^(?:[\w.]+(?:Error|Exception)(?::| -) )+")


class Cause(Enum):
    """Whose fault it is."""

    SETUP = "setup"  # whoever asks gets the same: a wrong key, model or address
    DENIED = "denied"  # mostly the same, though some refuse a single prompt in this way
    REQUEST = "request"  # this request alone
    UNREACHABLE = "unreachable"  # nobody listens there, perhaps for now
    SERVER = "server"  # passes by


class Failure(Exception):
    """One request that brought no completion.

    Args:
        reason: one line, without keys.
        pause: seconds after which the endpoint wants to be asked again, where it said so.
    """

    def __init__(self, cause: Cause, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.cause, self.reason, self.pause = cause, reason, pause
        self.tries = 1

    @property
    def passes(self) -> bool:
        """Whether asking again may help."""
        return self.cause in (Cause.SERVER, Cause.UNREACHABLE)


class Explainer:
    """Says in words what the endpoint's answers mean for whoever set it up.

    Args:
        where: the endpoint's address, without password.
        key: name of the variable that holds the key.
    """

    def __init__(self, name: str, where: str, key: str, redactor: Redactor) -> None:
        self._name, self._where, self._key, self._redactor = name, where, key, redactor

    def status(self, status: int, body: object, headers: Mapping[str, str]) -> Failure:
        """Of an answer that is not 200; `body` is its JSON, or its text."""
        said = self._redactor.line(message(body))
        where, told = self._where, f" (it said: {said})" if said else ""
        if status == 401:
            return Failure(Cause.SETUP, f"{where} refuses the key in {self._key}{told}")
        if status == 402 or "insufficient_quota" in _codes(body):
            return Failure(Cause.SETUP, f"{where} wants to be paid first{told}")
        if status == 403:
            return Failure(
                Cause.DENIED,
                f"{where} does not let the key in {self._key} use model {self._name!r}{told}",
            )
        if status in (404, 405):
            return Failure(
                Cause.SETUP,
                f"{where} has no model {self._name!r}, or nothing at this address: "
                f"set model.name or model.base_url{told}",
            )
        if 300 <= status < 400:
            to = self._redactor.line(headers.get("location", "elsewhere").partition("?")[0])
            return Failure(
                Cause.SETUP, f"{where} sends us on to {to}: set model.base_url accordingly"
            )
        if status == 429:
            return Failure(
                Cause.SERVER, f"{where} has had too many requests{told}", retry_after(headers)
            )
        if status in _TIMEOUTS or status == 409 or status >= 500:
            return Failure(
                Cause.SERVER, f"{where} failed with status {status}{told}", retry_after(headers)
            )
        if _is_too_long(said):
            return Failure(
                Cause.REQUEST,
                f"{where}: the prompt and model.max_new_tokens do not fit its context{told}",
            )
        return Failure(Cause.REQUEST, f"{where} refuses the request with status {status}{told}")

    def unreachable(self, error: BaseException) -> Failure:
        """No connection, or one that broke."""
        deepest = _chain(error)[-1]
        said = self._redactor.line(str(deepest) or type(deepest).__name__, 160)
        if any(type(each).__name__ in _NO_CONNECTION for each in _chain(error)):
            return Failure(
                Cause.UNREACHABLE,
                f"{self._where} cannot be reached ({said}): is the server running, and "
                "model.base_url right?",
            )
        return Failure(Cause.SERVER, f"{self._where} broke the connection off ({said})")

    def silent(self, seconds: float) -> Failure:
        return Failure(
            Cause.SERVER,
            f"{self._where} did not answer within {seconds:g} s (model.timeout_seconds)",
        )

    def no_json(self, body: str, content_type: str) -> Failure:
        """A body that is none of an endpoint's."""
        if "html" in content_type.lower() or body.lstrip()[:1] == "<":
            return Failure(
                Cause.SETUP,
                f"{self._where} answers with a web page: set model.base_url to its API, "
                "which mostly ends with /v1",
            )
        said = self._redactor.line(body, 80)
        return Failure(Cause.SERVER, f"{self._where} answers with invalid JSON ({said!r})")

    def too_large(self, limit: int) -> Failure:
        return Failure(Cause.REQUEST, f"{self._where} answers with more than {limit >> 20} MB")

    def bad_answer(self, what: str) -> Failure:
        """JSON that holds no completion."""
        return Failure(Cause.REQUEST, f"{self._where} answers {self._redactor.line(what)}")

    def other(self, error: BaseException) -> Failure:
        """What a client library makes of an answer, in its own words."""
        said = self._redactor.line(message(str(error)) or type(error).__name__)
        return Failure(Cause.REQUEST, f"{self._where}: {said}")


def message(body: object) -> str:
    """What an error's body says, in one of the ways in which endpoints put it."""
    if isinstance(body, Mapping):
        for key in ("error", "message", "detail", "errors"):
            if body.get(key):
                return message(body[key])
        return str(dict(body)) if body else ""
    if isinstance(body, list) and body:
        return message(body[0])
    text = _PREFIX.sub("", str(body or ""))
    return "" if text.lstrip()[:1] == "<" else text  # a web page


def _codes(body: object) -> set[str]:
    if isinstance(body, Mapping):
        inner = body.get("error")
        own = {str(body[key]) for key in ("code", "type") if key in body}
        return own | (_codes(inner) if isinstance(inner, Mapping) else set())
    return set()


def _is_too_long(said: str) -> bool:
    said = said.lower()
    return "context" in said and any(word in said for word in ("length", "long", "exceed", "size"))


def _chain(error: BaseException) -> list[BaseException]:
    chain: list[BaseException] = []
    next_one: BaseException | None = error
    while next_one is not None and next_one not in chain:
        chain.append(next_one)
        next_one = next_one.__cause__ or next_one.__context__
    return chain


def retry_after(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds that an answer asks us to wait: from `retry-after-ms` or `Retry-After`, which is a
    number or a date. None where it says nothing that makes sense."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        try:
            seconds = float(headers.get(name, "")) * unit
        except ValueError:
            continue
        return seconds if 0 <= seconds < float("inf") else None
    try:
        date: Any = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, float(date.timestamp() - (time.time() if now is None else now)))
    except (ValueError, TypeError, OverflowError):
        return None
