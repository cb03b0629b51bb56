"""Quality-diversity evolution of programs with language models."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from elm.api.evolve import Result
    from elm.api.loop import Loop

__all__ = ["Loop", "Result", "evolve", "run"]


def run(config: Any = None, /, **sections: Any) -> dict[str, Any]:
    """Runs an evolution; see `elm.launch.run`.

    Given as keywords, sections may be names, and what is left out has the defaults of the command
    line (`elm.api.defaults.complete`): `elm.run(environment="string", budget={"evaluations": 100})`
    is `python run_elm.py environment=string budget.evaluations=100`. A mapping given by position
    is complete: nothing is added to it but the defaults of `elm.config.Settings`.
    """
    from elm.api.defaults import complete  # importing the nouns must stay light
    from elm.launch import run as launch

    return launch(complete({**(config or {}), **sections}, fill=config is None))


def evolve(function: Callable[..., Any] | str, **settings: Any) -> Result:
    """Evolves a function of a notebook; see `elm.api.evolve.evolve` for its settings."""
    from elm.api.evolve import evolve as evolve_function

    return evolve_function(function, **settings)


def __getattr__(name: str) -> Any:
    if name == "Loop":
        from elm.api.loop import Loop

        return Loop
    if name == "Result":
        from elm.api.evolve import Result

        return Result
    raise AttributeError(f"module 'elm' has no attribute {name!r}")
