"""Diffs as language models write them: three layouts, read leniently, applied strictly.

A hunk is looked for exactly, then with other blanks, then by likeness; it applies only where one
place is meant beyond doubt. All hunks of an answer apply, or none does, and the reason says which
hunk failed on what.
"""

from elm.variation.patch.apply import Applied, apply
from elm.variation.patch.hunk import Hunk, PatchError
from elm.variation.patch.parse import parse

__all__ = ["Applied", "Hunk", "PatchError", "apply", "parse"]
