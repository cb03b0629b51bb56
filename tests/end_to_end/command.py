"""Runs of the real command, in a folder of their own."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Command:
    """`python run_elm.py` in one folder of runs."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs

    def start(self, *overrides: str) -> subprocess.Popen[str]:
        words = [sys.executable, str(ROOT / "run_elm.py"), f"run_dir={self.runs}", *overrides]
        return subprocess.Popen(
            words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __call__(self, *overrides: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*overrides)
        out, err = process.communicate(timeout=600)
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def summary(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.runs / name / "summary.json").read_text())
        return found

    def when(self, name: str, at_least: int, act: Callable[[], None]) -> None:
        """Waits until a run's journal holds so many evaluations, then acts."""
        path, deadline = self.runs / name / "journal.db", time.monotonic() + 600
        while time.monotonic() < deadline:
            if path.exists():
                try:
                    db = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
                    count = db.execute("SELECT count(*) FROM evaluations").fetchone()[0]
                    db.close()
                except sqlite3.OperationalError:  # the tables are just being made
                    count = 0
                if count >= at_least:
                    act()
                    return
            time.sleep(0.01)
        raise AssertionError(f"{name} never came to {at_least} evaluations")


def descendants(pid: int) -> list[tuple[int, str]]:
    """(pid, command line) of all processes below one, deepest last."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, queue = [], list(children.get(pid, []))
    while queue:
        child = queue.pop(0)
        try:
            line = (Path("/proc") / str(child) / "cmdline").read_bytes().replace(b"\0", b" ")
        except OSError:
            continue
        found.append((child, line.decode(errors="replace")))
        queue += children.get(child, [])
    return found


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
