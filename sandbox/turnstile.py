"""Lets a fixed number of programs execute at one time on a node, first come, first served."""

from __future__ import annotations

import threading
from collections import deque


class Turnstile:
    """A semaphore that hands a place that comes free to whoever has waited longest.

    The slots of several runs share one: a run whose slots have just finished cannot overtake
    another one's that wait.
    """

    def __init__(self, places: int) -> None:
        self._free = list(range(places))
        self._lock = threading.Lock()
        self._waiting: deque[tuple[threading.Lock, list[int]]] = deque()

    def enter(self) -> int:
        """Waits for a place; its number, which nobody else has until `leave`."""
        with self._lock:
            if self._free:
                return self._free.pop(0)
            gate, given = threading.Lock(), list[int]()
            gate.acquire()
            self._waiting.append((gate, given))
        gate.acquire()  # until somebody who leaves opens it
        return given[0]

    def leave(self, place: int) -> None:
        """Hands a place on, or puts it back."""
        with self._lock:
            if self._waiting:
                gate, given = self._waiting.popleft()
                given.append(place)
                gate.release()
            else:
                # The one used last comes first again: its processor knows the work.
                self._free.insert(0, place)
