"""The suite for dispatchers, on the local fleet."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from conformance import DispatcherConformance

from elm.dispatch.fleet import Fleet


class TestLocal(DispatcherConformance):
    def make(self, **settings: Any) -> Fleet:
        given = {"slots": 2, "heartbeat": 0.2, "patience": 5.0} | settings
        dispatcher = Fleet(**given)
        fake = Path(__file__).parent / "fake_worker.py"
        dispatcher.command = [sys.executable, "-P", str(fake)]
        return dispatcher

    def worker_pids(self, dispatcher: Fleet) -> list[int]:
        return [dispatcher.worker_pid] if dispatcher.worker_pid else []
