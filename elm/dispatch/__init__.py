"""Pushes candidates to sandboxes and brings their evaluations home."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elm.dispatch.base import Dispatcher, FleetError
from environments.construct import construct

__all__ = ["Dispatcher", "FleetError", "build"]

DISPATCHERS = {
    "local": "elm.dispatch.fleet:Fleet",
    "ray": "elm.dispatch.ray:RayDispatcher",
}


def build(settings: Mapping[str, Any]) -> Dispatcher:
    """A dispatcher from the section `dispatch` of the configuration; it is not started yet.

    Args:
        settings: "name" and the dispatcher's own settings.

    Raises:
        ValueError: for an unknown name or setting or a wrong value, in one line with its key.
    """
    dispatcher: Dispatcher = construct("dispatch", settings, DISPATCHERS)
    return dispatcher
