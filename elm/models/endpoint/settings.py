"""Settings of a model behind an endpoint."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

KEY = re.compile(r"\b(?:sk|pk|gsk|xai|hf|r8|nvapi|ghp|csk|AIza)[-_][\w-]{12,}|\bAIza[\w-]{20,}")
"""What keys of the usual vendors look like."""

_SECRET_HEADERS = ("authorization", "api-key", "x-api-key", "cookie", "proxy-authorization")


class Prices(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """In one currency, for a million tokens."""

    input: float
    output: float
    cached_input: float | None = None  # None: as any other input

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if value is not None and not 0 <= value < float("inf"):
                raise ValueError(f"model.prices.{name} must not be below 0, got {value}")

    def cost(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> float:
        """Of one completion; `cached_tokens` are part of the prompt's."""
        cached = self.input if self.cached_input is None else self.cached_input
        whole = (prompt_tokens - cached_tokens) * self.input + cached_tokens * cached
        return (whole + completion_tokens * self.output) / 1e6


class EndpointSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a configuration may say of a model behind an endpoint; see configs/model/openai.yaml."""

    kind: Literal["openai", "litellm"]
    name: str
    base_url: str | None = None
    base_url_env: str | None = None
    api_key_env: str | None = None
    api_version: str | None = None
    api: Literal["chat", "completions"] = "chat"
    concurrency: int = 64
    timeout_seconds: float = 120.0
    max_tries: int = 6
    pause_seconds: float = 0.5
    max_new_tokens: int = 1024
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    temperature: float | None = 1.0
    top_p: float | None = None
    seed: bool = True
    prefill: bool = False
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    extra_body: dict[str, Any] = msgspec.field(default_factory=dict)
    prices: Prices | None = None
    active_parameters: int | None = None

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_tries", "max_new_tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"model.{name} must be at least 1, got {getattr(self, name)}")
        for name in ("timeout_seconds", "pause_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"model.{name} must be above 0, got {getattr(self, name)}")
        if self.temperature is not None and not self.temperature >= 0:
            raise ValueError(f"model.temperature must not be below 0, got {self.temperature}")
        if self.top_p is not None and not 0 < self.top_p <= 1:
            raise ValueError(f"model.top_p must be above 0 and at most 1, got {self.top_p}")
        if not self.name.strip():
            raise ValueError("model.name: the endpoint needs the name of a model, got an empty one")
        if self.prefill and self.api == "completions":
            raise ValueError("model.prefill=true is for model.api=chat; a text is continued anyway")
        self._refuse_keys()

    @property
    def vendor(self) -> str:
        """Whose variables are looked at where the settings name none: OPENAI_API_KEY and so on."""
        vendor, slash, _ = self.name.partition("/")
        return re.sub(r"\W", "_", vendor).upper() if slash and self.kind == "litellm" else "OPENAI"

    @property
    def key_variable(self) -> str:
        """Of the environment, or of `.env`."""
        return self.api_key_env or f"{self.vendor}_API_KEY"

    @property
    def url_variable(self) -> str:
        """The same for the address."""
        return self.base_url_env or f"{self.vendor}_BASE_URL"

    def _refuse_keys(self) -> None:
        """Settings are written into the run's folder, so that no key may be among them."""
        advice = f"put it into the environment or .env, as {self.key_variable}"
        for header in self.headers:
            if header.lower() in _SECRET_HEADERS:
                raise ValueError(f"model.headers.{header}: a key does not belong here; {advice}")
        for key, value in _texts("model", msgspec.to_builtins(self)):
            if KEY.search(value) or key.rpartition(".")[2] in ("api_key", "token", "password"):
                raise ValueError(f"{key}: this looks like a key, which would be kept; {advice}")
        if self.base_url is not None:
            check_url("model.base_url", self.base_url)
            if urlsplit(self.base_url).username is not None:
                raise ValueError(f"model.base_url: leave the password out of it; {advice}")


def check_url(key: str, url: str) -> None:
    """
    Raises:
        ValueError: if it is no address of an endpoint. Does not repeat it: it may hold a password.
    """
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"{key}: expected an address such as http://localhost:8000/v1")


def _texts(key: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield key, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(f"{key}.{name}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _texts(f"{key}.{index}", inner)
