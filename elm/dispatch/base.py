"""What the pipeline asks of a fleet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from sandbox.protocol import Bundle, Evaluation, Task


class FleetError(Exception):
    """No sandbox can be had; the message says why and what to do, in one line."""


class Dispatcher(Protocol):
    """Sends tasks to sandboxes, wherever they are.

    Every task that was submitted comes back exactly once, whatever happens to the sandbox that
    had it. Called by one thread; never blocks longer than it says.
    """

    @property
    def level(self) -> str:
        """The weakest jail among its sandboxes, "" before the first has reported."""

    @property
    def slots(self) -> int:
        """How many tasks can run at one time right now."""

    def start(self, bundle: Bundle) -> None:
        """Brings the fleet up for one environment.

        Raises:
            FleetError: if no sandbox comes up, or the bundle cannot be loaded there.
        """

    def submit(self, tasks: Sequence[Task]) -> None:
        """Queues tasks. Returns at once."""

    def results(self, timeout: float) -> list[Evaluation]:
        """Evaluations that arrived since the last call, in no particular order.

        Waits up to `timeout` seconds for the first; an empty list means that none came.
        """

    def acknowledge(self, candidates: Iterable[int]) -> None:
        """Says that these evaluations are safe on disk, so that the fleet may forget them."""

    def notices(self) -> list[str]:
        """What happened to the fleet since the last call, one line each ("slot 1 restarted")."""

    def close(self) -> None:
        """Stops what it started. Tasks without a result are forgotten."""
