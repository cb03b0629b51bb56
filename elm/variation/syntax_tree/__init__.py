"""Mutation of Python without a language model: the baseline every model has to beat."""

from elm.variation.syntax_tree.operator import MUTATIONS, SyntaxTree

__all__ = ["MUTATIONS", "SyntaxTree"]
