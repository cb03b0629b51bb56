"""How busy the processors of this node are."""

from __future__ import annotations

import os
from pathlib import Path

PERIOD = 1.0  # seconds that one reading covers at least


class Load:
    """Measures the share of processor time in use since the last reading, from `/proc/stat`.

    On a system without that file the load average stands in for it.
    """

    def __init__(self) -> None:
        self.cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        self._file = Path("/proc/stat")
        self._at = float("-inf")
        self._share = 0.0
        self._busy, self._all = self._times()

    def read(self, now: float) -> float:
        """The share, 0 to 1; measured anew where the last time is long enough ago."""
        if now - self._at >= PERIOD:
            busy, everything = self._times()
            if everything > self._all:
                self._share = (busy - self._busy) / (everything - self._all)
            self._at, self._busy, self._all = now, busy, everything
        return self._share

    def _times(self) -> tuple[float, float]:
        """Processor time in use and in all, in the kernel's ticks since it started."""
        try:
            numbers = [int(word) for word in self._file.read_bytes().split(b"\n")[0].split()[1:9]]
        except OSError:
            self._share = min(1.0, os.getloadavg()[0] / self.cores)
            return 0.0, 0.0
        idle = numbers[3] + numbers[4]
        return float(sum(numbers) - idle), float(sum(numbers))
