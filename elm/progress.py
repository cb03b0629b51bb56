"""A run at one moment, and who watches it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from elm.budget import Budget


class Progress(msgspec.Struct, frozen=True):
    """A run at one moment, for whoever watches."""

    elapsed: float  # seconds on the run's clock
    metrics: Mapping[str, Any]  # as in the journal's commits
    budget: Budget
    level: str  # of the sandboxes
    slots: int
    busy_fraction: float  # of the model, over the blocks it has made so far
    in_flight: int  # candidates that were planned and are not yet in the archive
    stopping: bool


class Observer(Protocol):
    """Watches a run. Called on the run's thread: must be quick, and must not raise."""

    def update(self, progress: Progress) -> None: ...

    def notice(self, message: str) -> None: ...
