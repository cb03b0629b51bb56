"""Each benchmark as the documentation names it, small: it runs, prints JSON, keeps its ratios."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    [
        "archive", "pipeline", "sandbox", "fleet", "parity", "operators", "operators_overhead",
        "endpoint", "deletion_graph", "specification",
    ],
)  # fmt: skip
def test_small(name):
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}", "--small"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=800,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    json.loads(done.stdout)
