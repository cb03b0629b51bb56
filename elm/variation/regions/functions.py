"""Evolve regions that are functions: those with the decorator `@funsearch.evolve`, or one by name.

The body is the child's; decorators and signature are the parent's, since they are what the rest of
the program and the evaluator count on. What a child's function needs and nobody defines elsewhere,
imports and helpers, is put directly before it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence

from elm.variation.lines import bare, newline, split
from elm.variation.regions.base import Enforced, RegionError, parsed
from elm.variation.regions.bindings import bindings, missing

Function = ast.FunctionDef | ast.AsyncFunctionDef
Path = tuple[str, ...]  # names of the classes that a function stands in, and its own


def functions(tree: ast.Module) -> dict[Path, Function]:
    """Functions of a module and of its classes; of several with one name, the last."""

    def inside(body: Sequence[ast.stmt], path: Path) -> Iterator[tuple[Path, Function]]:
        for node in body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield (*path, node.name), node
            elif isinstance(node, ast.ClassDef):
                yield from inside(node.body, (*path, node.name))

    return dict(inside(tree.body, ()))


def marked_functions(tree: ast.Module) -> list[Path]:
    """Functions that carry the decorator `funsearch.evolve`, under whatever name it came in."""
    modules, decorators = {"funsearch"}, set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name == "funsearch" and alias.asname:
                    modules.add(alias.asname)
        elif isinstance(node, ast.ImportFrom) and node.module == "funsearch" and not node.level:
            for alias in node.names:
                if alias.name in ("evolve", "*"):
                    decorators.add(alias.asname or "evolve")

    def is_evolve(node: ast.expr) -> bool:
        if isinstance(node, ast.Call):
            node = node.func
        if isinstance(node, ast.Name):
            return node.id in decorators
        return (
            isinstance(node, ast.Attribute)
            and node.attr == "evolve"
            and isinstance(node.value, ast.Name)
            and node.value.id in modules
        )

    for node in tree.body:  # `evolve = funsearch.evolve`
        if isinstance(node, ast.Assign) and is_evolve(node.value):
            decorators |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    found = functions(tree)
    return [path for path, node in found.items() if any(map(is_evolve, node.decorator_list))]


def keep_to_functions(parent: str, tree: ast.Module, paths: Sequence[Path], child: str) -> Enforced:
    """The parent with the bodies of the child's functions in the place of its own.

    Raises:
        RegionError: if the child does not parse, or has none of the functions.
    """
    theirs = parsed(child, "the answer")
    mine, yours = functions(tree), functions(theirs)
    notes: list[str] = []
    changed: dict[Path, Function] = {}
    for path in paths:
        if path in yours:
            changed[path] = yours[path]
        else:
            notes.append(f"kept {'.'.join(path)}, which the answer lacks")
    if not changed:
        named = ", ".join(".".join(path) for path in paths)
        raise RegionError(f"the answer has no function {named}")
    lines, others = split(parent), split(child)
    end = newline(parent)
    helpers = _helpers(tree, theirs, paths, list(changed.values()))
    edits: list[tuple[int, int, str]] = []  # lines from, up to, and what takes their place
    for path, node in changed.items():
        notes += _contract(path, mine[path], node, tree)
        edits.append(_body(lines, mine[path], others, node))
    if helpers:
        top = _top(tree, list(changed))
        edits.append((top, top, _text(helpers, others, end)))
    notes += _elsewhere(tree, theirs, paths, helpers)
    for start, stop, text in sorted(edits, reverse=True):
        lines[start:stop] = [text]
    text = "".join(lines)
    if notes:
        parsed(text, "the answer, behind the signature of the parent,")
    return Enforced(text=text, notes=tuple(notes))


def _contract(path: Path, mine: Function, yours: Function, tree: ast.Module) -> list[str]:
    """What is restored of a function's head.

    Raises:
        RegionError: if the child's body reads a parameter that only its own signature has.
    """
    notes, name = [], ".".join(path)

    def dumped(nodes: Sequence[ast.AST]) -> list[str]:
        return [ast.dump(node) for node in nodes]

    if dumped(mine.decorator_list) != dumped(yours.decorator_list):
        notes.append(f"restored the decorators of {name}")
    returns = [[node.returns] if node.returns else [] for node in (mine, yours)]
    heads = [[node.args, *part] for node, part in zip((mine, yours), returns, strict=True)]
    if type(mine) is not type(yours) or dumped(heads[0]) != dumped(heads[1]):
        lost = _parameters(yours) - _parameters(mine) - bindings(tree.body)
        inner = bindings(yours.body)
        for node in ast.walk(ast.Module(yours.body, [])):
            if isinstance(node, ast.Name) and node.id in lost - inner:
                raise RegionError(
                    f"{name} reads its parameter {node.id}, which it may not add to its signature"
                )
        notes.append(f"restored the signature of {name}")
    return notes


def _parameters(node: Function) -> set[str]:
    return {a.arg for a in ast.walk(node.args) if isinstance(a, ast.arg)}


def _head_end(lines: Sequence[str], node: Function) -> tuple[int, int]:
    """Line and column, counted from 0, behind the colon that ends a function's head."""
    last = (node.lineno - 1, node.col_offset)
    parts: list[ast.AST] = [a for a in ast.walk(node.args) if isinstance(a, ast.arg)]
    parts += [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]
    parts += [*getattr(node, "type_params", []), *([node.returns] if node.returns else [])]
    for part in parts:
        last = max(last, (part.end_lineno - 1, part.end_col_offset))  # type: ignore[attr-defined]
    number, offset = last
    column = len(lines[number].encode()[:offset].decode())
    while True:
        code = lines[number][column:].partition("#")[0]
        if ":" in code:
            return number, column + code.index(":") + 1
        number, column = number + 1, 0


def _body(
    lines: Sequence[str], mine: Function, others: Sequence[str], yours: Function
) -> tuple[int, int, str]:
    """The edit of the parent's lines that puts the child's body behind the parent's head."""
    start, column = _head_end(lines, mine)
    first, place = _head_end(others, yours)
    stop, last = mine.end_lineno or 0, yours.end_lineno or 0
    body = list(others[first:last])
    shift = mine.col_offset - yours.col_offset
    if shift:
        inner = _in_strings(yours)
        for i in range(1, len(body)):
            if first + i not in inner and body[i].strip():
                body[i] = " " * shift + body[i] if shift > 0 else body[i][-shift:]
    ended = lines[stop - 1] != bare(lines[stop - 1])
    body[-1] = bare(body[-1]) + (lines[stop - 1][len(bare(lines[stop - 1])) :] if ended else "")
    return start, stop, lines[start][:column] + body[0][place:] + "".join(body[1:])


def _in_strings(node: ast.AST) -> set[int]:
    """Lines, counted from 0, that begin within a string."""
    return {
        line
        for part in ast.walk(node)
        if isinstance(part, ast.Constant | ast.JoinedStr)
        for line in range(part.lineno, part.end_lineno or part.lineno)
    }


def _helpers(
    tree: ast.Module, theirs: ast.Module, paths: Sequence[Path], changed: Sequence[Function]
) -> list[ast.stmt]:
    """Statements of the child, in its order, that its functions need and the parent lacks.

    None of them binds a name that the parent has already.
    """
    there = bindings(tree.body) | {path[0] for path in paths}
    offered: dict[ast.stmt, set[str]] = {}
    for node in theirs.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            new = _new_imports(node, there)
            if new is not None:
                offered[new] = bindings([new])
        elif not isinstance(node, ast.If | ast.Expr) and not bindings([node]) & there:
            offered[node] = bindings([node])
    needed = {name for node in changed for name in missing(node.body)}
    taken: set[ast.stmt] = set()
    while more := [n for n, names in offered.items() if n not in taken and names & needed]:
        taken.update(more)
        needed |= missing(more)
    return [node for node in offered if node in taken]


def _new_imports(node: ast.Import | ast.ImportFrom, there: set[str]) -> ast.stmt | None:
    """An import without the names that are there already; None if nothing is left of it."""
    if isinstance(node, ast.ImportFrom) and node.module == "__future__":
        return None
    names = [alias for alias in node.names if not bindings([ast.Import([alias])]) & there]
    if not names:
        return None
    kept: ast.stmt = ast.Import(names)
    if isinstance(node, ast.ImportFrom):
        kept = ast.ImportFrom(node.module, names, node.level)
    return ast.copy_location(kept, node)


def _first_line(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)]) - 1


def _top(tree: ast.Module, paths: Sequence[Path]) -> int:
    """The line, counted from 0, with which the first of some functions or its class begins."""
    names = {path[0] for path in paths}
    return min(_first_line(node) for node in tree.body if getattr(node, "name", "") in names)


def _text(helpers: Sequence[ast.stmt], others: Sequence[str], end: str) -> str:
    """Statements as lines of their own, functions and classes with the usual blank lines."""
    parts: list[str] = []
    for node in helpers:
        start, stop = _first_line(node), node.end_lineno or 0
        lines = [bare(line) for line in others[start:stop]]
        if isinstance(node, ast.Import | ast.ImportFrom) or not _alone(node, others):
            lines = ast.unparse(node).split("\n")
        text = "".join(line + end for line in lines)
        big = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if big and parts and not parts[-1].endswith(end * 3):
            parts.append(end * 2)
        parts.append(text + end * 2 if big else text)
    whole = "".join(parts)
    return whole if whole.endswith(end * 3) else whole + end * 2


def _alone(node: ast.stmt, lines: Sequence[str]) -> bool:
    """Whether no other statement is on a statement's lines."""
    last = bare(lines[(node.end_lineno or 1) - 1]).encode()[node.end_col_offset or 0 :]
    return not node.col_offset and last.lstrip()[:1] in (b"", b"#")


def _elsewhere(
    tree: ast.Module, theirs: ast.Module, paths: Sequence[Path], helpers: Sequence[ast.stmt]
) -> list[str]:
    """Notes on what the child changed outside of the functions and may not."""
    names = {path[0] for path in paths}
    kept = {(node.lineno, node.col_offset) for node in helpers}

    def others(module: ast.Module) -> dict[str, ast.stmt]:
        return {ast.dump(n): n for n in module.body if getattr(n, "name", "") not in names}

    mine, yours = others(tree), others(theirs)
    new = [node for text, node in yours.items() if text not in mine]
    extra = [node for node in new if (node.lineno, node.col_offset) not in kept]
    lost = mine.keys() - yours.keys()
    notes = []
    if helpers:
        notes.append(f"kept {_count(len(helpers), 'new statement')} that it needs")
    if extra:
        notes.append(f"left out {_count(len(extra), 'statement')} that it may not add or change")
    if lost and len(yours) > len(helpers):  # it wrote more than the function
        notes.append(f"restored {_count(len(lost), 'statement')}")
    return notes


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
