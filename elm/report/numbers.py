"""How numbers are written for people."""

from __future__ import annotations

from collections.abc import Mapping


def compact(number: float) -> str:
    """A number with four digits that count, and thousands set apart: "1,234", "0.03142"."""
    if isinstance(number, int) or float(number).is_integer():
        return f"{int(number):,}" if abs(number) < 1e9 else f"{number:.3e}"
    size = abs(number)
    if size >= 1e9 or size < 1e-4:
        return f"{number:.3e}"
    if size >= 1000:
        return f"{number:,.0f}"
    return f"{number:.4g}"


def large(number: float) -> str:
    """A count with its magnitude: "812", "12.3 k", "1.25 M", "3.1 P"."""
    for limit, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(number) >= limit:
            scaled = number / (1e3 if unit == "k" else limit)
            return f"{scaled:.3g} {unit}" if scaled < 100 else f"{scaled:,.0f} {unit}"
    return compact(number)


def percent(share: float) -> str:
    """A share of 1 as a percentage; small ones keep their first digits."""
    value = 100 * share
    if value == 0 or value >= 10:
        return f"{value:.0f} %"
    return f"{value:.1f} %" if value >= 1 else f"{value:.2g} %"


def duration(seconds: float) -> str:
    """Seconds as "48 s", "4:07 min" or "2:05:30 h"."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d} h"


def sorted_failures(statuses: Mapping[str, int]) -> list[tuple[str, int]]:
    """Counts by status without `ok`, most frequent first."""
    failures = [(name, count) for name, count in statuses.items() if name != "ok" and count]
    return sorted(failures, key=lambda item: (-item[1], item[0]))
