"""The panel that the terminal view draws: one picture of a run's progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from elm.progress import Progress
from elm.report.numbers import compact, duration, large, percent, sorted_failures

_HINT = "Ctrl-C ends the run after the blocks under way, twice stops now"
_STOPPING = "ending after the blocks under way; Ctrl-C again stops now"
_FAILURES = 8  # kinds that have a place; the rest are one sum


def panel(
    run_name: str, progress: Progress | None, notices: Sequence[str], width: int
) -> RenderableType:
    """The whole view: budget, archive, model, programs and failures, the last notices."""
    if progress is None:
        body: RenderableType = Text("starting", style="dim")
        stopping = False
    else:
        stopping = progress.stopping
        body = _body(progress)
    rows: list[RenderableType] = [body]
    if notices:
        rows.append(Text())
        for notice in notices:
            line = " ".join(notice.split())
            rows.append(Text(f"! {line}", style="yellow", no_wrap=True, overflow="ellipsis"))
    return Panel(
        Group(*rows),
        title=f"[bold]elm[/bold]  {escape(run_name)}",
        title_align="left",
        subtitle=f"[{'yellow' if stopping else 'dim'}]{_STOPPING if stopping else _HINT}[/]",
        subtitle_align="left",
        border_style="bright_black",
        box=box.ROUNDED,
        padding=(1, 2),
        width=width,
    )


def _body(progress: Progress) -> RenderableType:
    metrics = progress.metrics
    columns = Table.grid(expand=True, padding=(0, 0, 0, 2))
    groups = [("Archive", _archive(metrics)), ("Programs", _programs(progress))]
    if metrics["model_calls"]:
        groups.append(("Model", _model(progress)))
    for _ in groups:
        columns.add_column(ratio=1)
    columns.add_row(*(_group(title, rows) for title, rows in groups))
    parts: list[RenderableType] = [_budgets(progress), Text(), columns]
    failures = sorted_failures(metrics["statuses"])
    if failures:
        parts += [Text(), _failures(failures)]
    return Group(*parts)


def _budgets(progress: Progress) -> RenderableType:
    """A bar for every budget that is set; what is spent on the others is seen further below."""
    metrics, budget = progress.metrics, progress.budget
    amounts: list[tuple[str, float, float | None, str]] = [
        (
            "evaluations",
            metrics["evaluations"],
            budget.evaluations,
            compact(metrics["evaluations"]),
        ),
        ("model calls", metrics["model_calls"], budget.model_calls, large(metrics["model_calls"])),
        ("tokens", metrics["tokens"], budget.tokens, large(metrics["tokens"])),
        ("cost", metrics["cost"], budget.cost, compact(metrics["cost"])),
        ("time", progress.elapsed, budget.seconds, duration(progress.elapsed)),
    ]
    table = Table.grid(expand=True, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, style="dim")
    for name, spent, limit, text in amounts:
        if limit is not None:
            bar = ProgressBar(
                total=limit, completed=min(spent, limit), complete_style="cyan",
                finished_style="green", style="bright_black",
            )  # fmt: skip
            whole = duration(limit) if name == "time" else large(limit)
            table.add_row(name, bar, f"{text} of {whole}", percent(min(1.0, spent / limit)))
    if budget.seconds is None:
        table.add_row("time", _rate(progress), duration(progress.elapsed), "")
    return table


def _rate(progress: Progress) -> Text:
    if not progress.elapsed:
        return Text()
    rate = progress.metrics["evaluations"] / progress.elapsed
    return Text(f"{compact(round(rate, 1))} evaluations/s", style="dim")


def _archive(metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    best = metrics["best_fitness"]
    rows = [
        ("coverage", f"{percent(metrics['coverage'])}"),
        ("elites", compact(metrics["cells"])),
        ("QD score", compact(metrics["qd_score"])),
        ("best", "-" if best is None else f"{compact(best)}"),
    ]
    if metrics["out_of_range"]:
        rows.append(("outside", compact(metrics["out_of_range"])))
    return rows


def _programs(progress: Progress) -> list[tuple[str, str]]:
    metrics = progress.metrics
    return [
        ("runnable", percent(metrics["runnable_fraction"])),
        ("proposed", compact(metrics["candidates"])),
        ("under way", compact(progress.in_flight)),
        ("sandbox", f"{progress.level or '-'} x {progress.slots}"),
    ]


def _model(progress: Progress) -> list[tuple[str, str]]:
    metrics = progress.metrics
    seconds = metrics["generation_seconds"]
    rows = [
        ("tokens/s", compact(round(metrics["completion_tokens"] / seconds)) if seconds else "-"),
        ("busy", percent(progress.busy_fraction)),
        ("calls", large(metrics["model_calls"])),
        ("tokens", large(metrics["tokens"])),
    ]
    if metrics["cost"]:
        rows.append(("cost", compact(metrics["cost"])))
    return rows


def _group(title: str, rows: Sequence[tuple[str, str]]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    for name, value in rows:
        table.add_row(name, value)
    return Group(Text(title, style="cyan"), table)


def _failures(failures: Sequence[tuple[str, int]]) -> RenderableType:
    shown = [
        Text.assemble((name.replace("_", " "), "dim"), " ", (compact(count), "bold"))
        for name, count in failures[:_FAILURES]
    ]
    rest = sum(count for _, count in failures[_FAILURES:])
    if rest:
        shown.append(Text.assemble(("others", "dim"), " ", (compact(rest), "bold")))
    return Group(Text("Failures", style="cyan"), Columns(shown, padding=(0, 3)))
