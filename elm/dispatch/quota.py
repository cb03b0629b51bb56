"""How much may be said about a fleet: whoever talks too much must not bury what others say."""

from __future__ import annotations

from collections import Counter

PER_SOURCE, IN_ALL = 30, 300  # lines a minute
LONGEST_LINE = 400  # characters
_MINUTE = 60.0
_FULL = "too many lines about the fleet: the rest of this minute is left out"


def one_line(text: str, most: int = LONGEST_LINE) -> str:
    """Text of any origin as one short line that no terminal takes for a command."""
    joined = " ".join(text[: 4 * most].split())
    return "".join(c if c.isprintable() else "?" for c in joined[:most])


class Quota:
    """Lets so many lines of each source pass in a minute, and so many of all together."""

    def __init__(self, per_source: int = PER_SOURCE, in_all: int = IN_ALL) -> None:
        self._per_source, self._in_all = per_source, in_all
        self._counts: Counter[str] = Counter()
        self._until = 0.0

    def admit(self, line: str, source: str, now: float) -> str | None:
        """The line; or one that says that there are too many; or None for those after it."""
        if now >= self._until:
            self._counts.clear()
            self._until = now + _MINUTE
        if self._counts[source] > self._per_source:
            return None
        self._counts[source] += 1
        if source and self._counts[source] > self._per_source:
            line = f"too many lines about {source}: the rest of this minute is left out"
        said = self._counts.total()
        if said > self._in_all + 1:
            return None
        return one_line(_FULL if said > self._in_all else line)
