"""How much the processors of this node are asked for."""

from __future__ import annotations

import os
from pathlib import Path

PERIOD = 1.0  # seconds that one reading covers at least
FULL = 0.9  # share of time in use from which those who wait for a processor are counted as well
SMOOTHING = 0.2  # weight of the newest count of those: it is of a moment, the share of a period


class Load:
    """Processors in demand for each there is, from `/proc/stat`.

    Below 1 it is the share of time in use since the last reading; above, how many more processes
    want to run than there are processors for. Without that file the load average stands in for it.
    """

    def __init__(self, file: Path = Path("/proc/stat")) -> None:
        self.cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
        self._file = file
        self._at = float("-inf")
        self._load = self._runnable = 0.0
        self._busy, self._all = 0, 0
        self.read(float("-inf"))

    def read(self, now: float) -> float:
        """The load; measured anew where the last time is long enough ago."""
        if now - self._at < PERIOD:
            return self._load
        self._at = now
        try:
            self._measure(self._file.read_text())
        except OSError:
            self._load = os.getloadavg()[0] / self.cores
        return self._load

    def _measure(self, text: str) -> None:
        lines = {line.split(maxsplit=1)[0]: line.split()[1:] for line in text.splitlines() if line}
        times = [int(word) for word in lines["cpu"][:8]]  # in ticks, since the kernel started
        everything, busy = sum(times), sum(times) - times[3] - times[4]
        waiting = int(lines["procs_running"][0]) / sum(key[3:].isdigit() for key in lines)
        self._runnable += SMOOTHING * (waiting - self._runnable)
        if everything > self._all:
            share = (busy - self._busy) / (everything - self._all)
            self._load = share if share < FULL else max(share, self._runnable)
        self._busy, self._all = busy, everything
