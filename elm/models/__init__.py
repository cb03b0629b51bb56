"""Language models. Importing this package imports no torch; building a model may."""

from __future__ import annotations

import os
from typing import Any

from elm.models.base import (
    Completion,
    FatalModelError,
    LanguageModel,
    Message,
    ModelError,
    Request,
    StopRule,
)
from elm.models.settings import ModelSettings, convert, read
from environments.construct import suggestion

__all__ = [
    "Completion",
    "FatalModelError",
    "LanguageModel",
    "Message",
    "ModelError",
    "ModelSettings",
    "Request",
    "StopRule",
    "build",
]

KINDS = ("none", "stub", "bundled", "transformers", "openai", "litellm", "ensemble")


def build(settings: dict[str, Any]) -> LanguageModel | None:
    """The model that a configuration of the group `model` describes; None for `model=none`.

    Raises:
        ModelError: for a wrong setting, missing weights or a missing package, in one line.
    """
    kind = settings.get("kind")
    if kind not in KINDS:
        raise ModelError(
            f"model.kind: no {kind!r}, known: {', '.join(KINDS)}{suggestion(kind, KINDS)}"
        )
    if kind == "ensemble":
        from elm.models import ensemble

        return ensemble.load(convert(settings, ensemble.EnsembleSettings), build)
    if kind in ("openai", "litellm"):
        from elm.models import endpoint

        return endpoint.build(convert(settings, endpoint.EndpointSettings))
    checked = read(settings)
    if checked.kind == "none":
        return None
    if checked.kind == "stub":
        from elm.models.stub import StubModel

        return StubModel(checked.name)
    # Threads that spin for long while they wait for one that is not running stall every step on a
    # busy machine, and threads that never spin are slow on a quiet one. OpenMP reads this when
    # torch is first imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    try:
        from elm.models import loading
    except ImportError as error:
        raise ModelError(
            f"model={checked.name} needs the package {error.name}; "
            'install the extra "llm": pip install -e ".[llm]"'
        ) from error
    return loading.load(checked)
