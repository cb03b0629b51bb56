"""Operators: what turns parents into children."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from elm.models.base import LanguageModel
from elm.variation.base import Operator, Order
from environments.base import Environment
from environments.construct import construct

__all__ = ["OPERATORS", "Operator", "Order", "build"]

# Imported once they are chosen, so that a run without a language model loads none.
OPERATORS = {
    "crossover": "elm.variation.crossover:Crossover",
    "diff": "elm.variation.diff:Diff",
    "gaussian": "elm.variation.gaussian:Gaussian",
    "iso_line": "elm.variation.iso_line:IsoLine",
    "mixed": "elm.variation.mixed:Mixed",
    "prompt": "elm.variation.prompt:PromptOperator",
    "random": "elm.variation.random_program:RandomProgram",
    "rewrite": "elm.variation.rewrite:Rewrite",
    "syntax_tree": "elm.variation.syntax_tree:SyntaxTree",
}


def build(
    settings: Mapping[str, Any], environment: Environment, model: LanguageModel | None
) -> Operator:
    """An operator from the section `variation` of the configuration.

    Raises:
        ValueError: for an unknown name or setting or a wrong value, in one line with its key.
    """
    operator: Operator = construct("variation", settings, OPERATORS, environment, model)
    return operator
