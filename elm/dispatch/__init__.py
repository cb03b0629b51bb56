"""Pushes candidates to sandboxes and brings their evaluations home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elm.dispatch.base import Dispatcher, FleetError
from elm.dispatch.portions import Portions, concludes
from environments.base import Environment
from environments.construct import construct

__all__ = ["Dispatcher", "FleetError", "build"]

DISPATCHERS = {
    "local": "elm.dispatch.fleet:Fleet",
    "ray": "elm.dispatch.ray:RayDispatcher",
}


def build(settings: Mapping[str, Any], environment: Environment | None = None) -> Dispatcher:
    """A dispatcher from the section `dispatch` of the configuration; it is not started yet.

    Args:
        settings: "name" and the dispatcher's own settings.
        environment: of the candidates; it may have them executed in portions, and its say in what
            came of them. None: whatever the judge says is the evaluation.

    Raises:
        ValueError: for an unknown name or setting or a wrong value, in one line with its key.
    """
    dispatcher: Dispatcher = construct("dispatch", settings, DISPATCHERS)
    if environment is not None and concludes(environment):
        return Portions(dispatcher, environment)
    return dispatcher
