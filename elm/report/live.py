"""The view of a run in a terminal while it goes on.

A view is drawn by the run's own thread when the run reports its progress: no thread of its own,
at most four pictures a second, and one a second while nothing but the clock has moved.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from types import TracebackType
from typing import Any, Literal, Protocol

from rich.console import Console
from rich.live import Live

from elm.progress import Observer, Progress
from elm.report.numbers import compact, duration, percent, sorted_failures
from elm.report.panel import panel
from elm.report.result import print_result

__all__ = [
    "Kind",
    "PlainView",
    "RichView",
    "SilentView",
    "View",
    "plain_line",
    "print_result",
    "view",
]

Kind = Literal["auto", "rich", "plain", "none"]

_REDRAW_SECONDS = 0.25
_IDLE_SECONDS = 1.0  # between pictures that differ in their clock alone
_LINE_SECONDS = 10.0  # between lines of the plain view
_ECHO = 5  # columns that are left free
_NOTICES = 3  # that stay on the screen


class View(Observer, AbstractContextManager["View"], Protocol):
    """An observer that is opened before a run and closed after it."""


def view(kind: Kind, run_name: str) -> View:
    """A view that is shown while its context is open.

    Args:
        kind: "rich" draws a panel in place, "plain" writes lines, "none" nothing. "auto" chooses
            the panel in a terminal that can show it and lines elsewhere.
        run_name: the title.

    Raises:
        ValueError: for an unknown kind.
    """
    if kind == "auto":
        kind = "rich" if _can_draw() else "plain"
    if kind == "rich":
        return RichView(run_name)
    if kind == "plain":
        return PlainView(run_name)
    if kind == "none":
        return SilentView()
    raise ValueError(f"view: expected auto, rich, plain or none, got {kind!r}")


def _can_draw() -> bool:
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower()
    return (
        sys.stdout.isatty()
        and os.environ.get("TERM", "dumb") not in ("", "dumb", "unknown")
        and encoding.startswith("utf")
    )


class SilentView:
    """Shows nothing."""

    def update(self, progress: Progress) -> None:
        pass

    def notice(self, message: str) -> None:
        pass

    def __enter__(self) -> SilentView:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


class RichView:
    """A panel that is redrawn in place.

    Args:
        run_name: the title.
        console: where to draw; the standard output where left out.
        clock: seconds that only grow, for tests.
    """

    def __init__(
        self,
        run_name: str,
        console: Console | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_name = run_name
        self._clock = clock
        self._live = Live(
            console=console or Console(),
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stdout=True,
            redirect_stderr=True,
        )
        self._progress: Progress | None = None
        self._notices: deque[str] = deque(maxlen=_NOTICES)
        self._drawn_at = -_IDLE_SECONDS
        self._drawn: tuple[Any, ...] | None = None
        self._is_lost = False

    def update(self, progress: Progress) -> None:
        self._progress = progress
        now = self._clock()
        state = (progress.metrics, progress.in_flight, progress.slots, progress.stopping)
        wait = _IDLE_SECONDS if state == self._drawn else _REDRAW_SECONDS
        if now - self._drawn_at >= wait:
            self._drawn, self._drawn_at = state, now
            self._draw()

    def notice(self, message: str) -> None:
        self._notices.append(message)
        self._drawn = None  # shown with the next update

    def _draw(self) -> None:
        if self._is_lost:
            return
        # The cursor rests behind the last line: the echo of a "^C" there must not wrap.
        width = self._live.console.width - _ECHO
        shown = panel(self._run_name, self._progress, list(self._notices), width)
        try:
            self._live.update(shown, refresh=True)
        except OSError:
            # The terminal has gone. The run is worth more than whoever watches it.
            self._is_lost = True

    def __enter__(self) -> RichView:
        self._live.start()
        self._draw()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._draw()
        with suppress(OSError):  # as above; an error of the run itself goes on
            self._live.stop()


class PlainView:
    """A line every ten seconds and for each notice, for logs and pipes.

    Args:
        run_name: what the first line names.
        write: takes one line; the standard output where left out.
        clock: seconds that only grow, for tests.
    """

    def __init__(
        self,
        run_name: str,
        write: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._run_name = run_name
        self._write = write or _print
        self._clock = clock
        self._written_at = -_LINE_SECONDS
        self._progress: Progress | None = None
        self._is_shown = True  # whether the newest progress has had its line

    def update(self, progress: Progress) -> None:
        self._progress, self._is_shown = progress, False
        if self._clock() - self._written_at >= _LINE_SECONDS:
            self._line()

    def notice(self, message: str) -> None:
        self._say(" ".join(message.split()))

    def _line(self) -> None:
        assert self._progress is not None
        self._written_at, self._is_shown = self._clock(), True
        self._say(plain_line(self._progress))

    def _say(self, line: str) -> None:
        try:
            self._write(line)
        except OSError:
            # The reader of a pipe has gone. The run is worth more than whoever watches it.
            self._write = lambda _: None

    def __enter__(self) -> PlainView:
        self._say(f"run {self._run_name}")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not self._is_shown:
            self._line()


def _print(line: str) -> None:
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def plain_line(progress: Progress) -> str:
    """Progress in one line of ASCII."""
    metrics, budget = progress.metrics, progress.budget
    done = compact(metrics["evaluations"])
    best = metrics["best_fitness"]
    parts = [
        duration(progress.elapsed),
        f"evaluations {done}" + (f"/{compact(budget.evaluations)}" if budget.evaluations else ""),
        f"coverage {percent(metrics['coverage'])}",
        f"QD score {compact(metrics['qd_score'])}",
        f"best {'-' if best is None else compact(best)}",
        f"runnable {percent(metrics['runnable_fraction'])}",
    ]
    if metrics["model_calls"]:
        seconds = metrics["generation_seconds"]
        if seconds:
            parts.append(f"{metrics['completion_tokens'] / seconds:.0f} tokens/s")
        parts.append(f"model busy {percent(progress.busy_fraction)}")
    failures = sorted_failures(metrics["statuses"])[:3]
    if failures:
        parts.append("failures " + " ".join(f"{name}={count}" for name, count in failures))
    return " | ".join(parts)
