"""Language models behind an endpoint: OpenAI-compatible servers, and other vendors."""

from __future__ import annotations

import sys

from elm.models.base import ModelError
from elm.models.endpoint.failure import Explainer
from elm.models.endpoint.keys import Redactor, address, variable
from elm.models.endpoint.model import EndpointModel
from elm.models.endpoint.prices import look_up, snapshot
from elm.models.endpoint.settings import EndpointSettings, check_url

__all__ = ["EndpointModel", "EndpointSettings", "build"]

OPENAI = "https://api.openai.com/v1"
_NO_KEY = "none"  # for servers of one's own: the library insists on something


def build(settings: EndpointSettings) -> EndpointModel:
    """A model behind an endpoint. Asks it nothing yet.

    Raises:
        ModelError: if the package, the address or the key is missing, or makes no sense.
    """
    url = settings.base_url or variable(settings.url_variable)
    if url:
        try:
            check_url(settings.url_variable if settings.base_url is None else "model.base_url", url)
        except ValueError as error:
            raise ModelError(str(error)) from None
    key = variable(settings.key_variable)
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ModelError(f"{settings.key_variable}: holds characters that no key has")
    redactor = Redactor(key, url if "@" in url else "")
    build_one = _litellm if settings.kind == "litellm" else _openai
    return build_one(settings, url, key, redactor)


def _openai(settings: EndpointSettings, url: str, key: str, redactor: Redactor) -> EndpointModel:
    try:
        from elm.models.endpoint.openai_client import OpenAIClient
    except ImportError as error:
        raise _missing(settings, error, "api") from error
    if settings.api_version is not None and not url:
        raise ModelError(
            f"model.base_url: Azure needs the address of your resource, there or in "
            f"{settings.url_variable}"
        )
    if not key and not url:
        raise ModelError(
            f"model={settings.kind}: there is no key: put it into {settings.key_variable}, in the "
            "environment or in .env, or set model.base_url to a server that needs none"
        )
    where = url or OPENAI
    explainer = Explainer(settings.name, address(where), settings.key_variable, redactor)
    prices = settings.prices or look_up(settings.name)
    _say_where_prices_come_from(settings, prices is not None)
    return EndpointModel(
        settings,
        lambda: OpenAIClient(settings, where, key or _NO_KEY, explainer),
        explainer,
        redactor,
        prices,
    )


def _litellm(settings: EndpointSettings, url: str, key: str, redactor: Redactor) -> EndpointModel:
    try:
        from elm.models.endpoint.litellm_client import LiteLLMClient, known_prices
    except ImportError as error:
        raise _missing(settings, error, "litellm") from error
    where = address(url) if url else f"the endpoint of {settings.name}"
    explainer = Explainer(settings.name, where, settings.key_variable, redactor)
    prices = settings.prices or look_up(settings.name) or known_prices(settings.name)
    _say_where_prices_come_from(settings, prices is not None)
    # A server of one's own needs no key, yet the library insists on one as well.
    used = key or (_NO_KEY if url else "")
    return EndpointModel(
        settings,
        lambda: LiteLLMClient(settings, url, used, explainer),
        explainer,
        redactor,
        prices,
    )


def _missing(settings: EndpointSettings, error: ImportError, extra: str) -> ModelError:
    return ModelError(
        f"model={settings.kind} needs the package {error.name}; "
        f'install the extra "{extra}": pip install -e ".[{extra}]"'
    )


def _say_where_prices_come_from(settings: EndpointSettings, known: bool) -> None:
    if settings.prices is not None:
        return
    print(
        f"model {settings.name}: prices of {snapshot().date}; model.prices sets others"
        if known
        else f"model {settings.name}: prices unknown, so its cost counts as 0; "
        "set model.prices={input: ..., output: ...}",
        file=sys.stderr,
    )
