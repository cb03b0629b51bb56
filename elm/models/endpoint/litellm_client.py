"""All other vendors, through the package `litellm`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

# It would fetch a price list from the network, and read `.env` into this process's environment.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
os.environ.setdefault("LITELLM_MODE", "PRODUCTION")

import litellm
import openai

from elm.models.endpoint.failure import Explainer
from elm.models.endpoint.settings import EndpointSettings, Prices

litellm.suppress_debug_info = True  # it would print advice between the lines of a run
litellm.telemetry = False
litellm.drop_params = True  # leaves out what a vendor does not take, `seed` for instance


class LiteLLMClient:
    """Implements `Client`. Its errors are those of `openai`, whoever the vendor is."""

    def __init__(
        self, settings: EndpointSettings, base_url: str, key: str, explainer: Explainer
    ) -> None:
        self._explain, self._seconds = explainer, settings.timeout_seconds
        self._create: Any = (
            litellm.acompletion if settings.api == "chat" else litellm.atext_completion
        )
        self._fixed: dict[str, Any] = {
            "num_retries": 0,
            "max_retries": 0,
            "timeout": settings.timeout_seconds,
            "no-log": True,
        }
        if key:
            self._fixed["api_key"] = key
        if base_url:
            self._fixed["api_base"] = base_url
        if settings.api_version is not None:
            self._fixed["api_version"] = settings.api_version
        if settings.headers:
            self._fixed["extra_headers"] = settings.headers

    async def ask(self, parameters: Mapping[str, Any]) -> object:
        """See `Client`."""
        try:
            reply = await self._create(**parameters, **self._fixed)
        except openai.APITimeoutError:
            raise self._explain.silent(self._seconds) from None
        except openai.APIConnectionError as error:
            raise self._explain.unreachable(error) from None
        except Exception as error:  # each vendor has its own; most of them have a status
            status = getattr(error, "status_code", None)
            if not isinstance(status, int):
                raise self._explain.other(error) from None
            headers = getattr(getattr(error, "response", None), "headers", None) or {}
            raise self._explain.status(status, str(error), dict(headers)) from None
        return reply.model_dump()

    async def close(self) -> None:
        """Its connections are shared by the whole process, and end with it."""


def known_prices(name: str) -> Prices | None:
    """From the list that comes with the package; None where it does not know the model."""
    entry = litellm.model_cost.get(name) or litellm.model_cost.get(name.rpartition("/")[2]) or {}
    asked, written = entry.get("input_cost_per_token"), entry.get("output_cost_per_token")
    if not isinstance(asked, int | float) or not isinstance(written, int | float):
        return None
    cached = entry.get("cache_read_input_token_cost")
    return Prices(
        input=float(asked) * 1e6,
        output=float(written) * 1e6,
        cached_input=float(cached) * 1e6 if isinstance(cached, int | float) else None,
    )
