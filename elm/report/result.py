"""What the terminal says when a run has ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from elm.report.numbers import compact, duration, large, percent, sorted_failures

_PLACES = (
    ("report.html", "figures and the best programs"),
    ("elites", "the program of every elite"),
    ("summary.json", "these numbers, and more"),
)


def print_result(summary: Mapping[str, Any], folder: Path, console: Console | None = None) -> None:
    """Prints a run's headline numbers, and where the rest of it is.

    Args:
        summary: of `summary.json`; what it does not hold is left out.
        folder: the run folder. Of the usual places, those that exist are named.
        console: the standard output where left out.
    """
    console = console or Console()
    table = Table(
        box=box.SIMPLE_HEAD, show_header=False, title=escape(str(summary.get("run_name", folder))),
        title_style="bold", title_justify="left", padding=(0, 2, 0, 0),
    )  # fmt: skip
    table.add_column(style="dim", no_wrap=True)
    table.add_column(style="bold")
    for name, value in headlines(summary):
        table.add_row(name, escape(value))
    console.print(table)
    for name, what in _PLACES:
        place = folder / name
        if place.exists():
            console.print(f"  {escape(str(place))}  [dim]{what}[/dim]", soft_wrap=True)


def headlines(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and texts of the numbers that a person looks for first."""
    rows: list[tuple[str, str]] = []

    def row(name: str, key: str, text: Any) -> None:
        if summary.get(key) is not None:
            rows.append((name, text(summary[key])))

    best_of = summary.get("best_candidate")
    verified = "" if summary.get("verified", True) else ", not verified"
    cells = summary.get("cells")
    row("best fitness", "best_fitness", lambda x: f"{compact(x)}  (candidate {best_of}{verified})")
    row("coverage", "coverage", lambda x: percent(x) + (f"  ({cells:,} cells)" if cells else ""))
    row("QD score", "qd_score", lambda x: f"{compact(x)}  (offset {summary.get('qd_offset', 0):g})")
    row("evaluations", "evaluations", compact)
    row("runnable", "runnable_fraction", percent)
    if summary.get("model_calls"):
        row("model calls", "model_calls", compact)
        row("tokens", "tokens", large)
        row("model busy", "model_busy_fraction", percent)
    failures = sorted_failures(summary.get("statuses") or {})
    if failures:
        rows.append(("failures", ", ".join(f"{name} {count:,}" for name, count in failures[:5])))
    row("time", "wall_seconds", duration)
    row("sandbox", "sandbox_level", str)
    return rows
