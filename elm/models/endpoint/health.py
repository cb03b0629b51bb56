"""When a run should rather end than go on asking."""

from __future__ import annotations

from elm.models.endpoint.failure import Cause

IN_A_ROW = 8


class Health:
    """Counts failed requests in a row. Used by one thread.

    Nothing has ever worked: a wrong key, model or address ends it at once, and anything else after
    eight. Later, eight in a row end it where the cause does not pass by itself, and twice as many
    as there are at one time where it may: one outage is then not taken for the end. What is wrong
    with single requests ends nothing that has worked.

    Args:
        concurrency: requests at one time.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._worked = False
        self._failures = 0

    def worked(self) -> None:
        self._worked, self._failures = True, 0

    def failed(self, cause: Cause) -> bool:
        """Whether this failure is the last straw."""
        if self._worked and cause is Cause.REQUEST:
            return False
        self._failures += 1
        return self._failures >= self._patience(cause)

    def _patience(self, cause: Cause) -> int:
        if not self._worked:
            return 1 if cause in (Cause.SETUP, Cause.UNREACHABLE) else IN_A_ROW
        if cause in (Cause.SETUP, Cause.DENIED):
            return IN_A_ROW
        return max(IN_A_ROW, 2 * self._concurrency)
