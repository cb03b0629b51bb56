"""SIGINT and SIGTERM of a process, counted; a launcher repeats what the terminal has said."""

from __future__ import annotations

import contextlib
import signal
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType

REPEATED = 1.5  # seconds within which a launcher repeats a signal


class Interrupts:
    """Counts signals from when it is made.

    Args:
        told: called for each one that counts, with their number so far, from the signal handler;
            what it raises is raised in the main thread.
        merge: seconds within which signals count once.
    """

    def __init__(
        self, told: Callable[[int], None] = lambda count: None, *, merge: float = 0.0
    ) -> None:
        self.count = 0
        self._told, self._merge = told, merge
        self._last = float("-inf")

    @contextlib.contextmanager
    def caught(self) -> Iterator[Interrupts]:
        """Catches them in the main thread; in any other, where none arrive, it does nothing."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = [(number, signal.signal(number, self._handle)) for number in numbers]
        try:
            yield self
        finally:
            for number, handler in before:
                signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if now - self._last < self._merge:
            return
        self._last = now
        self.count += 1
        self._told(self.count)
