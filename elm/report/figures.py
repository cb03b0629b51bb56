"""The standard figures of a run, each as one `<svg>` element for a page.

Limits of descriptors are those of the archive, never those of the data, so that figures of
different runs can be laid side by side. Matplotlib (extra `plots`) is imported when a figure is
drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from elm.archive import Archive
from elm.journal import Commit
from elm.report.numbers import large
from elm.report.style import ACCENT, MUTED, STATUS_COLOURS, Sheet
from environments.base import Objective

_POINTS = 800  # of a curve at most
_BINS = 40  # of the history of failures


def objective_label(objective: Objective) -> str:
    """ "distance (m)"."""
    return f"{objective.name} ({objective.unit})" if objective.unit else objective.name


def curves(commits: Sequence[Commit], objective: Objective) -> str:
    """Coverage, QD score and best fitness, against evaluations and, with a model, tokens."""
    points = _thinned([c.metrics for c in commits])
    against: list[tuple[str, str]] = [("evaluations", "evaluations")]
    if points and points[-1]["tokens"]:
        against.append(("tokens", "tokens of the model"))
    shown: list[tuple[str, Callable[[Mapping[str, Any]], float | None]]] = [
        ("Coverage (% of cells)", lambda m: 100 * m["coverage"]),
        ("QD score", lambda m: m["qd_score"]),
        (f"Best {objective_label(objective)}", lambda m: m["best_fitness"]),
    ]
    with Sheet(len(shown) * len(against), len(shown), (3.55, 2.35)) as sheet:
        for index, axes in enumerate(sheet.axes):
            key, name = against[index // len(shown)]
            title, value = shown[index % len(shown)]
            pairs = [(m[key], y) for m in points if (y := value(m)) is not None]
            xs, ys = [x for x, _ in pairs], [y for _, y in pairs]
            # The archive changes only when a block is committed.
            axes.step(xs, ys, where="post", color=ACCENT, solid_capstyle="round")
            if pairs:
                axes.plot(xs[-1], ys[-1], "o", color=ACCENT, markersize=4, clip_on=False)
            axes.grid(axis="y")
            axes.set_xlim(left=0)
            if index % len(shown) < 2 and min(ys, default=0.0) >= 0:
                axes.set_ylim(bottom=0)
            if index < len(shown):
                axes.set_title(title)
            axes.set_xlabel(name)
            axes.xaxis.set_major_locator(_few_ticks())
            axes.xaxis.set_major_formatter(_large_ticks())
            axes.yaxis.set_major_locator(_few_ticks())
            axes.yaxis.set_major_formatter(_large_ticks())
        return sheet.svg("Coverage, QD score and best fitness over the run")


def profile(archive: Archive, objective: Objective) -> str:
    """The archive profile: which share of the cells holds at least each fitness (CCDF)."""
    steps = archive.profile()
    with Sheet(1, 1, (5.2, 3.0)) as sheet:
        axes = sheet.axes[0]
        if steps:
            # From the left edge at full coverage, down after each fitness, to zero at the best.
            xs = [fitness for fitness, _ in steps]
            ys = [100 * share for _, share in steps]
            axes.step([*xs, xs[-1]], [*ys, 0.0], where="pre", color=ACCENT)
            axes.fill_between([*xs, xs[-1]], [*ys, 0.0], step="pre", color=ACCENT, alpha=0.12, lw=0)
        axes.set_ylim(bottom=0)
        axes.grid(axis="y")
        axes.set_xlabel(f"at least this {objective_label(objective)}")
        axes.set_ylabel("% of all cells")
        axes.xaxis.set_major_formatter(_large_ticks())
        return sheet.svg("Archive profile: share of cells by fitness")


def outcomes(commits: Sequence[Commit]) -> str:
    """How candidates ended, as shares over the course of the run; "ok" is at the bottom."""
    totals = [dict(c.metrics["statuses"]) for c in commits]
    ends = [sum(total.values()) for total in totals]
    order = [s for s in STATUS_COLOURS if totals and totals[-1].get(s)]
    bins: list[tuple[int, int, Mapping[str, int]]] = []  # start, end, counts within
    last: dict[str, int] = {}
    start, width = 0, (ends[-1] if ends else 0) / _BINS
    for total, end in zip(totals, ends, strict=True):
        rest = ends[-1] - end
        if end > start and (rest == 0 or min(end - start, rest) >= width):
            bins.append((start, end, {s: total.get(s, 0) - last.get(s, 0) for s in order}))
            start, last = end, total
    with Sheet(1, 1, (5.2, 3.0)) as sheet:
        axes = sheet.axes[0]
        edges = [begin for begin, _, _ in bins] + [end for _, end, _ in bins[-1:]]
        bottoms = [0.0] * len(edges)
        for status in order:
            shares = [100 * n[status] / (end - begin) for begin, end, n in bins]
            tops = [b + h for b, h in zip(bottoms, [*shares, *shares[-1:]], strict=True)]
            axes.fill_between(
                edges, bottoms, tops, step="post", lw=0,
                color=STATUS_COLOURS[status], label=status.replace("_", " "),
            )  # fmt: skip
            bottoms = tops
        axes.set_ylim(0, 100)
        axes.set_xlim(0, max([1, *ends]))
        axes.set_xlabel("children proposed")
        axes.set_ylabel("% of children")
        axes.xaxis.set_major_formatter(_large_ticks())
        axes.xaxis.set_major_locator(_few_ticks())
        if order:
            handles, labels = axes.get_legend_handles_labels()
            sheet.figure.legend(
                handles[::-1], labels[::-1], loc="outside right upper", labelcolor=MUTED,
                handlelength=0.9, handleheight=0.9,
            )  # fmt: skip
        return sheet.svg("How candidates ended over the run")


def _thinned(points: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    step = max(1, len(points) // _POINTS)
    kept = list(points[::step])
    if points and kept[-1] is not points[-1]:
        kept.append(points[-1])
    return kept


def _few_ticks() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(nbins=4, steps=[1, 2, 2.5, 5, 10])


def _large_ticks() -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda value, _: large(round(value, 10)))
