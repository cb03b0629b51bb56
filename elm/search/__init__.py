"""Search strategies: which elites become parents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elm.search.base import Result, Strategy
from environments.construct import construct

__all__ = ["Result", "Strategy", "build"]

STRATEGIES = {"map_elites": "elm.search.map_elites:MapElites"}


def build(settings: Mapping[str, Any], *, parents: int, siblings: int = 1) -> Strategy:
    """A strategy from the section `search` of the configuration.

    Args:
        settings: "name" and the strategy's own settings.
        parents: how many the operator wants for each child.
        siblings: how many consecutive candidates share their parents, unless the settings say so.

    Raises:
        ValueError: for an unknown name or setting or a wrong value, in one line with its key.
    """
    strategy: Strategy = construct("search", settings, STRATEGIES, parents, siblings=siblings)
    return strategy
