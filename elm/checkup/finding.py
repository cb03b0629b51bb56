"""What a check has to say."""

from __future__ import annotations

from typing import Literal

import msgspec

Verdict = Literal["ok", "FAIL", "note"]


class Finding(msgspec.Struct, frozen=True):
    """One line: the check, and what is wrong or worth knowing."""

    verdict: Verdict
    check: str
    detail: str = ""

    @property
    def failed(self) -> bool:
        return self.verdict == "FAIL"

    def __str__(self) -> str:
        return f"{self.verdict:<5} {self.check}" + (f": {self.detail}" if self.detail else "")
