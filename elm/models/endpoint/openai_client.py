"""OpenAI-compatible endpoints, through the package `openai`."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from typing import Any

import openai

from elm.models.endpoint.failure import Explainer, Failure
from elm.models.endpoint.settings import EndpointSettings

MOST_BYTES = 16 << 20  # of an answer; what is longer is not read to its end
# Connections of one pool. The library looks at all of a pool's connections before and after each
# request, which with 64 in one pool took longer than everything else.
POOL = 8


class OpenAIClient:
    """Implements `Client`. Connections are kept, and nobody waits for one.

    The body is read here and not by the library, which believes whatever an endpoint sends.
    """

    def __init__(
        self, settings: EndpointSettings, base_url: str, key: str, explainer: Explainer
    ) -> None:
        self._explain, self._seconds = explainer, settings.timeout_seconds
        trust = ssl.create_default_context()
        self._new: Callable[[], _Pool] = lambda: _Pool(settings, base_url, key, trust)
        self._pools = [self._new()]

    async def ask(self, parameters: Mapping[str, Any]) -> object:
        """See `Client`."""
        pool = min(self._pools, key=lambda each: each.busy)
        if pool.busy >= POOL:
            pool = self._new()
            self._pools.append(pool)
        pool.busy += 1
        try:
            return await self._ask(pool, parameters)
        finally:
            pool.busy -= 1

    async def close(self) -> None:
        """See `Client`."""
        for pool in self._pools:
            await pool.client.close()

    async def _ask(self, pool: _Pool, parameters: Mapping[str, Any]) -> object:
        body = bytearray()
        try:
            async with pool.create(**parameters) as response:
                async for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > MOST_BYTES:
                        raise self._explain.too_large(MOST_BYTES)
                content_type = str(response.headers.get("content-type", ""))
        except openai.APIStatusError as error:
            raise self._explain.status(
                error.status_code, _body(error), dict(error.response.headers)
            ) from None
        except openai.APITimeoutError:
            raise self._explain.silent(self._seconds) from None
        except openai.APIConnectionError as error:
            raise self._explain.unreachable(error) from None
        except Failure:
            raise
        except Exception as error:
            # The library lets errors of the connection through where it is not asked to read the
            # body, and has errors of its own for parameters that it does not like.
            if _is_of_the_connection(error):
                raise self._explain.unreachable(error) from None
            raise self._explain.other(error) from None
        text = body.decode("utf-8", "replace")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise self._explain.no_json(text, content_type) from None


class _Pool:
    """A few connections, and how many requests are on them."""

    def __init__(
        self, settings: EndpointSettings, base_url: str, key: str, trust: ssl.SSLContext
    ) -> None:
        self.busy = 0
        options: dict[str, Any] = {
            "api_key": key,
            "max_retries": 0,  # tries are counted by the model
            "timeout": settings.timeout_seconds,
            "default_headers": settings.headers,
            # A redirect would carry prompts to an address that nobody has set.
            "http_client": openai.DefaultAsyncHttpxClient(
                follow_redirects=False, timeout=settings.timeout_seconds, verify=trust
            ),
        }
        self.client: openai.AsyncOpenAI
        if settings.api_version is not None:
            self.client = openai.AsyncAzureOpenAI(
                api_version=settings.api_version, azure_endpoint=base_url, **options
            )
        else:
            self.client = openai.AsyncOpenAI(base_url=base_url, **options)
        api = self.client.chat.completions if settings.api == "chat" else self.client.completions
        self.create: Any = api.with_streaming_response.create


def _body(error: openai.APIStatusError) -> object:
    """The JSON of an error, or its text."""
    try:
        return json.loads(error.response.content)
    except (ValueError, RecursionError):
        return error.response.text


def _is_of_the_connection(error: BaseException) -> bool:
    """Whether it is one of httpx's, by whichever name the library has it vendored."""
    return type(error).__module__.partition(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")
