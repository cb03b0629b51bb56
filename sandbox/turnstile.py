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
        self._free = places
        self._lock = threading.Lock()
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()  # until somebody who leaves opens it

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
