"""What a language model is told of a specification."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from environments.base import Prompt
from environments.specification.marks import MODULE
from environments.specification.reading import Source

MOST_PREAMBLE = 2_000  # characters


def prompt(source: Source, visible: str) -> Prompt:
    """The problem statement, and what the function that evolves finds around it.

    Args:
        visible: the text that programs may see, without what only `check` uses.
    """
    name, preamble = source.evolve, _preamble(source, visible)
    statement = source.docstring or f"Improve `{name}`: the score of {source.entry} is to grow."
    if preamble.startswith('"""'):  # the whole of it is there
        statement = " ".join(statement.split("\n\n")[0].split())
    return Prompt(
        instruction=statement,
        file=f"{name}.py",
        entry=name,
        opening=source.opening,
        preamble=preamble,
        commit_messages=(
            (f"Improved {name}, for a higher score.", 0.4),
            (f"Changed {name} function.", 0.3),
            (f"Small change to {name} function.", 0.3),
        ),
    )


def _preamble(source: Source, visible: str) -> str:
    """Docstring, imports and the signatures of helpers, as far as they fit."""
    said = source.docstring.replace("\\", "\\\\").replace('"""', "'''")
    parts = [f'"""{said}\n"""' if "\n" in said else f'"""{said}"""'] if said else []
    parts += _surroundings(source, visible)
    text = ""
    for part in parts:
        longer = f"{text}{part}\n"
        if len(longer) <= MOST_PREAMBLE:
            text = longer
    return text


def _surroundings(source: Source, visible: str) -> Iterator[str]:
    body = ast.parse(visible).body
    for node in body:
        if isinstance(node, ast.Import):
            others = [alias for alias in node.names if alias.name != MODULE]
            if others:
                yield ast.unparse(ast.Import(others))
        elif isinstance(node, ast.ImportFrom) and node.module not in (MODULE, "__future__"):
            yield ast.unparse(node)
    for node in body:
        hidden = (source.evolve, source.entry, source.check, "prepare")
        if isinstance(node, ast.FunctionDef) and node.name not in hidden:
            node.decorator_list, documented = [], ast.get_docstring(node)
            first = (documented or "").split("\n")[0]
            said: ast.expr = ast.Constant(first if first else ...)
            node.body = [ast.Expr(said)]
            yield ast.unparse(node)
