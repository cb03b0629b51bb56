"""The two marks of FunSearch's specification files, for whoever imports or runs such a file.

`@funsearch.evolve` marks the function that evolves, `@funsearch.run` the one that evaluates it
(Romera-Paredes et al., 2024). The marks change nothing; `environment=specification` reads them.
"""

from __future__ import annotations

from typing import Any

__all__ = ["evolve", "run"]


def _mark(function: Any = None, /, **_: Any) -> Any:
    """The function itself; a decorator where it was called with keywords or nothing."""
    return function if function is not None else _mark


evolve = run = _mark
