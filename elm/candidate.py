"""The nouns of the search: program, candidate, attempt, evaluation, elite. All are frozen."""

from __future__ import annotations

import ast
import hashlib
import json
from functools import lru_cache

import msgspec

from environments.base import Program
from environments.parsing import parse
from sandbox.protocol import Evaluation, Status

__all__ = [
    "Attempt",
    "Candidate",
    "Elite",
    "Evaluation",
    "Program",
    "Proposal",
    "Status",
    "canonical_hash",
]

MAX_SOURCE_BYTES = 65_536  # a larger program is refused before anything tries to parse it


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a language model. A retry is an attempt of its own."""

    model: str
    prompt: str
    completion: str
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0  # of the prompt's: read from a cache, not computed
    finish_reason: str = "stop"  # stop, length or error
    latency: float = 0.0  # seconds, of the batch it was part of
    seed: int = 0
    cost: float = 0.0  # in the currency of the model's prices
    tries: int = 1  # how often an endpoint was asked until it answered


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator made of one order: a program, or the reason why there is none."""

    program: Program | None
    status: Status | None = None  # None: to be evaluated; otherwise the final failure
    detail: str = ""
    attempts: tuple[Attempt, ...] = ()
    operator: str = ""  # which part of a mixture made it; "": the operator itself
    model: str = ""  # which member of an ensemble wrote it; "": the model itself


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A program that was proposed, and where it came from."""

    id: int  # in the order in which candidates are committed
    block: int
    program: Program | None
    hash: str = ""  # canonical; empty where there is no program that parses
    parents: tuple[int, ...] = ()
    operator: str = ""
    model: str = ""
    seed: int = 0
    branch: str = ""  # which arm or archive it belongs to
    status: Status | None = None  # set where it is final without an evaluation
    duplicate_of: int | None = None
    detail: str = ""


class Elite(msgspec.Struct, frozen=True):
    """A candidate that holds a place in the archive, with the evaluation that earned it."""

    candidate: Candidate
    evaluation: Evaluation


def _strip_docstrings(tree: ast.Module) -> None:
    # Statements stand in lists of these names alone, and no expression holds any.
    nodes: list[ast.AST] = [tree]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            body = node.body
            if (
                body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
                and isinstance(body[0].value.value, str)
            ):
                node.body = body[1:] or [ast.Pass()]
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            nodes.extend(getattr(node, field, ()))


def _canonical(name: str, text: str) -> str:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES:
        raise SyntaxError(f"{name} is larger than {MAX_SOURCE_BYTES} bytes")
    try:
        if name.endswith(".py"):
            tree = parse(text)
            _strip_docstrings(tree)
            return ast.dump(tree)
        if name.endswith(".json"):
            return json.dumps(json.loads(text), sort_keys=True)
    except SyntaxError as error:
        where = f" (line {error.lineno})" if error.lineno else ""
        raise SyntaxError(f"{name}{where}: {error.msg}") from None
    except (ValueError, RecursionError, MemoryError) as error:
        # Null bytes, lone surrogates, or nesting deeper than the parser's stack.
        raise SyntaxError(f"{name}: {error or type(error).__name__}") from None
    return text


def canonical_hash(program: Program) -> str:
    """sha256 of a program without comments, docstrings and formatting.

    Two programs with one hash are the same syntax tree, hence behave alike.

    Raises:
        SyntaxError: if a file does not parse, with its name, line and reason in one line.
    """
    return _hash(tuple(sorted(program.files.items())))


@lru_cache(maxsize=1024)  # a new program is asked for its hash by its operator and by the run
def _hash(files: tuple[tuple[str, str], ...]) -> str:
    digest = hashlib.sha256()
    for name, source in files:
        text = _canonical(name, source)
        digest.update(f"{name}\0{len(text)}\0".encode())
        digest.update(text.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
