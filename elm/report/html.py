"""The report of a run: one HTML file that needs nothing else, not even a network.

Programs, their output and their names are untrusted text. The template escapes everything, and
the page forbids scripts and requests to itself.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from elm import archive as archives
from elm.candidate import Candidate, Evaluation
from elm.report.gallery import difference, diverse, picture, spread
from elm.report.numbers import compact, duration, large, percent
from elm.report.record import Record, ReportError, read

if TYPE_CHECKING:
    import jinja2

__all__ = ["ReportError", "write_report"]

_GALLERY = 13  # the best, and three rows of four
_LINEAGE_PICTURES = 6
_EVENTS = 200  # the last ones
_PEEK = 600  # characters in a picture's place
_LOG = 1_200  # characters of an example's printout


def write_report(folder: Path) -> Path:
    """Writes `report.html` into a run folder, from what else is there. Replaces an older one.

    Works on a run that is under way, or was cut short, as well.

    Raises:
        ReportError: if the extra packages are missing, it is no run folder, or what it holds is
            damaged. Nothing has changed then.
        OSError: if the file cannot be written.
    """
    environment = _templates()
    record = read(Path(folder))
    page = environment.get_template("report.html").render(_content(record))
    target = record.folder / "report.html"
    draft = target.with_name(f"{target.name}.part")
    try:
        draft.write_text(page, encoding="utf-8", errors="backslashreplace")
        os.replace(draft, target)  # noqa: PTH105
    finally:
        draft.unlink(missing_ok=True)
    return target


def _templates() -> jinja2.Environment:
    try:
        import jinja2
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ReportError("report needs the extra plots: pip install 'elm[plots]'") from error
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: files("elm.report").joinpath(name).read_text(encoding="utf-8")
        ),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(compact=compact, percent=percent, large=large, duration=duration)
    return environment


def _content(record: Record) -> dict[str, Any]:
    from markupsafe import Markup

    from elm.report import figures, maps

    shown = diverse(record.archive, _GALLERY)
    cards = [_card(record, elite.candidate, elite.evaluation) for elite in shown]
    # Figures are drawn by this program out of numbers and escaped names: they may be markup.
    return {
        "record": record,
        "summary": defaultdict(lambda: None, record.summary),  # not every run has every key
        "tiles": list(_tiles(record)),
        "cards": cards,
        "curves": Markup(figures.curves(record.commits, record.objective)),
        "heat_map": Markup(maps.heat_map(record.archive, record.objective)),
        "profile": Markup(figures.profile(record.archive, record.objective)),
        "outcomes": Markup(figures.outcomes(record.commits)),
        "objective": figures.objective_label(record.objective),
        "lineage": _lineage(record),
        "failures": record.failures,
        "failed": sum(f.count for f in record.failures),
        "log_limit": _LOG,
        "config": _config(record),
        "numbers": _numbers(record.summary),
        "events": record.events[-_EVENTS:],
        "events_left_out": max(0, len(record.events) - _EVENTS),
        "filled": record.archive.filled,
        "cells": record.archive.space.cells,
        "space": "CVT" if isinstance(record.archive.space, archives.CVTSpace) else "grid",
    }


def _tiles(record: Record) -> Iterator[tuple[str, str, str]]:
    """Name, number and small print of what a person looks for first."""
    summary, archive = record.summary, record.archive
    unit = f" {record.objective.unit}" if record.objective.unit else ""
    if archive.best is not None:
        verified = "" if archive.best.evaluation.verified else ", not verified"
        best = archive.best.evaluation.fitness or 0.0
        what = f"{record.objective.name}, candidate {archive.best.candidate.id}{verified}"
        yield "Best", compact(best) + unit, what
    held = f"{archive.filled:,} of {archive.space.cells:,} cells"
    yield "Coverage", percent(archive.coverage), held
    yield "QD score", compact(archive.qd_score), f"offset {archive.f_min:g}, {held}"
    if (runnable := summary.get("runnable_fraction")) is not None:
        yield "Runnable", percent(runnable), "new programs that ran, of all children"
    if (evaluations := summary.get("evaluations")) is not None:
        proposed = summary.get("candidates", record.candidates)
        yield "Evaluations", compact(evaluations), f"of {compact(proposed)} candidates"
    if summary.get("model_calls"):
        calls = f"{compact(summary['model_calls'])} calls of {summary.get('model', 'a model')}"
        yield "Tokens", large(summary.get("tokens", 0)), calls
        if (busy := summary.get("model_busy_fraction")) is not None:
            seconds = summary.get("generation_seconds")
            rate = summary.get("completion_tokens", 0) / seconds if seconds else 0.0
            yield "Model busy", percent(busy), f"{rate:,.0f} new tokens/s"
    if (seconds := summary.get("wall_seconds")) is not None:
        level = summary.get("sandbox_level")
        yield "Time", duration(seconds), f"sandbox {level}" if level else ""


def _card(record: Record, candidate: Candidate, evaluation: Evaluation) -> dict[str, Any]:
    source, problem = picture(record.environment, evaluation.artifact)
    descriptor = [
        (axis.name, f"{compact(float(f'{value:.4g}'))}{f' {axis.unit}' if axis.unit else ''}")
        for axis, value in zip(record.axes, evaluation.descriptor or (), strict=True)
    ]
    return {
        "candidate": candidate,
        "evaluation": evaluation,
        "descriptor": descriptor,
        "picture": source,
        "problem": problem,
        "text": "" if source else _text(candidate, evaluation),
        "files": sorted(candidate.program.files.items()) if candidate.program else [],
        "is_best": candidate.id == getattr(record.archive.best, "candidate", candidate).id,
        "seed_name": _seed_name(record, candidate),
    }


def _text(candidate: Candidate, evaluation: Evaluation) -> str:
    """What stands in a picture's place: what the program made if that is text, else itself."""
    if isinstance(evaluation.artifact, str):
        return evaluation.artifact[:_PEEK]
    texts = [] if candidate.program is None else sorted(candidate.program.files.items())
    return texts[0][1][:_PEEK] if texts else ""


def _seed_name(record: Record, candidate: Candidate) -> str:
    if candidate.block or record.environment is None:
        return ""
    names = [s.name for s in record.environment.seeds() if s.program == candidate.program]
    return names[0] if names else ""


def _lineage(record: Record) -> list[dict[str, Any]]:
    steps = record.lineage
    with_picture = spread(steps, _LINEAGE_PICTURES)
    rows = []
    for position, step in enumerate(steps):
        parent = steps[position - 1] if position else None
        fitness = step.evaluation.fitness or 0.0
        rows.append(
            {
                **_card(record, step.candidate, step.evaluation),
                "has_picture": position in with_picture,
                "gain": None if parent is None else fitness - (parent.evaluation.fitness or 0.0),
                "diff": []
                if parent is None
                else difference(parent.candidate.program, step.candidate.program),
                "others": step.candidate.parents[1:],
            }
        )
    return rows


def _config(record: Record) -> str:
    path = record.folder / "config.yaml"
    if path.is_file():
        return path.read_text(encoding="utf-8", errors="replace")
    return json.dumps(record.config, indent=2)


def _numbers(summary: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every number of the summary, as `summary.json` spells it."""
    return [
        (key, value if isinstance(value, str) else json.dumps(value))
        for key, value in summary.items()
    ]
