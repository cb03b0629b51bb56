"""The terminal view: what it says, how often, and that it never harms the run."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from elm.budget import Budget
from elm.progress import Progress
from elm.report.live import PlainView, RichView, plain_line, view
from elm.report.result import print_result

METRICS: dict[str, Any] = {
    "candidates": 130, "evaluations": 64, "model_calls": 128, "tokens": 70_400,
    "completion_tokens": 12_800, "generation_seconds": 64.0, "cost": 0.0,
    "statuses": {"ok": 40, "runtime_error": 24, "syntax_error": 30, "duplicate": 34},
    "runnable_fraction": 0.3125, "cells": 17, "coverage": 0.0098, "qd_score": 1234.5,
    "out_of_range": 3, "best_fitness": 18.25, "best_candidate": 77,
}  # fmt: skip


def progress(**changes: Any) -> Progress:
    values: dict[str, Any] = {
        "elapsed": 75.0, "metrics": METRICS, "budget": Budget(evaluations=256), "level": "L3",
        "slots": 2, "busy_fraction": 0.971, "in_flight": 32, "stopping": False,
    }  # fmt: skip
    return Progress(**{**values, **changes})


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def drawn(width: int, *shown: Progress, notices: tuple[str, ...] = ()) -> str:
    text = io.StringIO()
    console = Console(file=text, width=width, height=50, force_terminal=True, color_system=None)
    clock = Clock()
    with RichView("my-run", console, clock) as v:
        for notice in notices:
            v.notice(notice)
        for p in shown:
            clock.now += 1.0
            v.update(p)
    return text.getvalue()


@pytest.mark.parametrize("width", [70, 80, 120])
def test_the_panel_says_what_matters_and_fits(width):
    text = drawn(width, progress(), notices=("slot 1 restarted: " + "x" * 200,))
    for word in ("my-run", "64 of 256", "25 %", "coverage", "0.98 %", "QD score", "1,234", "18.25",
                 "31 %", "tokens/s", "200", "97 %", "runtime error 24", "L3", "slot 1",
                 "Ctrl-C"):  # fmt: skip
        assert word in text, word
    lines = text.replace("\r", "\n").split("\n")
    # Not to the very edge: the echo of a "^C" behind the last line would begin a new one.
    assert max(len(line) for line in lines if "\x1b" not in line) <= width - 3


def test_every_budget_that_is_set_has_its_bar():
    budget = Budget(evaluations=256, model_calls=512, tokens=100_000, seconds=300.0, cost=2.0)
    text = drawn(100, progress(budget=budget))
    for word in ("64 of 256", "128 of 512", "70.4 k of 100 k", "1:15 min of 5:00 min", "0 of 2"):
        assert word in text, word


def test_without_a_model_nothing_is_said_of_one():
    text = drawn(80, progress(metrics={**METRICS, "model_calls": 0, "tokens": 0}))
    assert "tokens/s" not in text and "busy" not in text


def test_a_run_that_is_stopping_says_so():
    assert "ending after the blocks under way" in drawn(80, progress(stopping=True))


def test_a_run_name_is_no_markup():
    text = io.StringIO()
    with RichView("[red]x[/red]", Console(file=text, width=80, force_terminal=True)) as v:
        v.update(progress())
    assert "[red]x[/red]" in text.getvalue()


def test_pictures_are_at_most_four_a_second_and_rarer_while_nothing_changes():
    text = io.StringIO()
    clock = Clock()
    v = RichView("r", Console(file=text, width=80, force_terminal=True), clock)
    pictures = []
    with v:
        for step in range(100):  # ten seconds of updates that change each time
            clock.now += 0.1
            before = text.tell()
            v.update(progress(in_flight=step))
            pictures.append(text.tell() > before)
        assert 20 <= sum(pictures) <= 40
        pictures.clear()
        for _ in range(100):  # and ten seconds of nothing but the clock
            clock.now += 0.1
            before = text.tell()
            v.update(progress(in_flight=0, elapsed=clock.now))
            pictures.append(text.tell() > before)
        assert 8 <= sum(pictures) <= 12


class Gone(io.StringIO):
    """A terminal that goes away."""

    is_gone = False

    def write(self, text: str) -> int:
        if self.is_gone:
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_a_lost_terminal_does_not_end_the_run():
    terminal = Gone()
    clock = Clock()
    with RichView("r", Console(file=terminal, width=80, force_terminal=True), clock) as v:
        terminal.is_gone = True
        for _ in range(3):
            clock.now += 1.0
            v.update(progress())


def test_plain_lines_come_every_ten_seconds_with_each_notice_and_at_the_end():
    lines: list[str] = []
    clock = Clock()
    with PlainView("r", lines.append, clock) as v:
        for step in range(251):
            v.update(progress(in_flight=step))
            clock.now += 0.1
        v.notice("slot 1\nrestarted")
        v.update(progress(elapsed=99.0))
    assert lines[0] == "run r"
    assert [line.partition(" |")[0] for line in lines[1:]] == [
        "1:15 min", "1:15 min", "1:15 min", "slot 1 restarted", "1:39 min",
    ]  # fmt: skip


def test_a_closed_pipe_does_not_end_the_run():
    def closed(line: str) -> None:
        raise BrokenPipeError

    with PlainView("r", closed) as v:
        v.update(progress())
        v.notice("still here")


def test_a_plain_line_says_what_matters():
    assert plain_line(progress()) == (
        "1:15 min | evaluations 64/256 | coverage 0.98 % | QD score 1,234 | best 18.25 | "
        "runnable 31 % | 200 tokens/s | model busy 97 % | "
        "failures duplicate=34 syntax_error=30 runtime_error=24"
    )


def test_output_that_is_no_terminal_gets_lines(capsys):
    with view("auto", "r") as v:
        v.update(progress())
    out = capsys.readouterr().out
    assert out.startswith("run r\n1:15 min | ") and "\x1b" not in out
    with view("none", "r") as v:
        v.update(progress())
        v.notice("x")
    assert capsys.readouterr().out == ""


def test_an_unknown_view_is_refused():
    with pytest.raises(ValueError, match="view: expected auto, rich, plain or none, got 'loud'"):
        view("loud", "r")  # type: ignore[arg-type]


def test_the_result_names_what_is_there(tmp_path):
    (tmp_path / "report.html").touch()
    text = io.StringIO()
    summary = {**METRICS, "run_name": "[b]r[/b]", "wall_seconds": 75.0, "verified": False}
    print_result(summary, tmp_path, Console(file=text, width=80))
    shown = text.getvalue()
    for word in ("[b]r[/b]", "18.25  (candidate 77, not verified)", "0.98 %", "1:15 min",
                 f"{tmp_path}/report.html"):  # fmt: skip
        assert word in shown, word
    assert "summary.json" not in shown and "elites" not in shown.split("report.html")[1]


def test_the_result_of_a_run_that_found_nothing(tmp_path):
    text = io.StringIO()
    print_result({"run_name": "r", "best_fitness": None, "statuses": {}}, tmp_path,
                 Console(file=text, width=80))  # fmt: skip
    assert "best" not in text.getvalue()
