"""Language models. Importing this package imports no torch; building a model may."""

from __future__ import annotations

import os
from typing import Any

from elm.models.base import Completion, LanguageModel, ModelError, Request, StopRule
from elm.models.settings import ModelSettings, read

__all__ = [
    "Completion",
    "LanguageModel",
    "ModelError",
    "ModelSettings",
    "Request",
    "StopRule",
    "build",
]


def build(settings: dict[str, Any]) -> LanguageModel | None:
    """The model that a configuration of the group `model` describes; None for `model=none`.

    Raises:
        ModelError: for a wrong setting, missing weights or a missing package, in one line.
    """
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
