"""Programs that want a score which their solution is not worth, by what they lay hands on.

The evolved function of a specification shares a process with what evaluates it: it can reach and
change everything there. None of that may count, since scores are computed again from solutions.
"""

from __future__ import annotations

from cheats import documents, evaluator, patches, shared, values
from cheats.cheat import Cheat

CHEATS: list[Cheat] = [
    cheat
    for module in (evaluator, patches, values, documents, shared)
    for cheat in module.subject.cheats
]
