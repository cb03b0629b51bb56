"""The operator: varies the parent's Python by random edits, without any language model."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, overload

from msgspec import Meta

from elm.candidate import MAX_SOURCE_BYTES, Program, Proposal, Status
from elm.models.base import LanguageModel
from elm.variation.base import Operator, Order
from elm.variation.syntax_tree import constants, expressions, statements
from elm.variation.syntax_tree.constants import Mutation
from elm.variation.syntax_tree.names import undefined
from elm.variation.syntax_tree.source import Source, same_tree
from environments.base import Environment
from environments.construct import suggestion

MUTATIONS: dict[str, tuple[Mutation, float]] = {
    "number": (constants.number, 5.0),
    "tune": (statements.tune, 3.0),
    "scale": (constants.scale, 1.0),
    "string": (constants.string, 4.0),
    "operator": (expressions.operator, 1.0),
    "name": (expressions.name, 1.0),
    "arguments": (expressions.arguments, 0.5),
    "element": (expressions.element, 1.0),
    "expression": (expressions.expression, 2.0),
    "copy": (statements.copy, 2.0),
    "grow": (statements.grow, 2.0),
    "remove": (statements.remove, 1.5),
    "swap": (statements.swap, 0.3),
    "borrow": (statements.borrow, 3.0),
}
# These cannot leave a variable without a value behind.
HARMLESS = frozenset({"number", "tune", "scale", "string", "operator", "arguments", "element"})
# These bring in text of other parents.
BORROWING = frozenset({"borrow", "expression"})
MOST = 8  # mutations of one child
TRIES = 24  # for one mutation; many programs have no place for some kinds

BROKEN = (SyntaxError, ValueError, RecursionError, MemoryError)


class SyntaxTree(Operator):
    """Varies the first parent by one or more random edits of its syntax tree.

    Numbers, strings, operators, names, calls, expressions and statements are changed where they
    stand, so a child keeps comments and layout. It always parses, always differs from its parent
    by more than formatting, and reads no variable that its parents would not have had. Where
    EVOLVE-BLOCK comments mark what may change, nothing else does. The edits are those of genetic
    programming on Python, weighted by how often each helps.

    Args:
        environment: not asked for anything.
        model: not asked for anything.
        more: chance of another mutation after each, so that their number is geometric.
        novelty: chance that a child borrows from a random program of the environment (if it
            generates any) and not from its second parent: without it, no statement is ever new.
        crossover: also offer the operator a second parent to borrow from.
        weights: by kind of mutation, where they differ from `MUTATIONS`; 0 leaves a kind out.
        max_bytes: of a Python file; children that would be larger shrink or stay.

    Raises:
        ValueError: for a wrong setting.
    """

    name = "syntax_tree"

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None = None,
        *,
        more: Annotated[float, Meta(ge=0, lt=1)] = 0.5,
        novelty: Annotated[float, Meta(ge=0, le=1)] = 0.3,
        crossover: bool = True,
        weights: Mapping[str, Annotated[float, Meta(ge=0)]] | None = None,
        max_bytes: Annotated[int, Meta(ge=1, le=MAX_SOURCE_BYTES)] = 8192,
    ) -> None:
        if not 0 <= more < 1:
            raise ValueError(f"more: expected 0 or more and below 1, got {more}")
        chosen = {kind: weight for kind, (_, weight) in MUTATIONS.items()}
        for kind, weight in (weights or {}).items():
            if kind not in MUTATIONS:
                raise ValueError(
                    f"weights.{kind}: unknown, known: {', '.join(MUTATIONS)}"
                    f"{suggestion(kind, MUTATIONS)}"
                )
            if not weight >= 0:
                raise ValueError(f"weights.{kind}: expected 0 or more, got {weight}")
            chosen[kind] = weight
        if not 0 <= novelty <= 1:
            raise ValueError(f"novelty: expected 0 to 1, got {novelty}")
        if not crossover and not novelty:
            chosen["borrow"] = 0.0
        if not sum(chosen.values()) > 0:
            raise ValueError("weights: expected at least one above 0, all are 0")
        self.parents = 2 if crossover else 1
        self._more = more
        self._novelty = novelty if _generates(environment) else 0.0
        self._environment = environment
        self._max_bytes = max_bytes
        self._kinds = list(chosen)
        self._weights = list(chosen.values())

    def propose(self, orders: Sequence[Order]) -> list[Proposal]:
        return [self._child(order) for order in orders]

    def _child(self, order: Order) -> Proposal:
        rng = random.Random(order.seed)
        lenders = [elite.candidate.program for elite in order.parents[1:]]
        if rng.random() < self._novelty:
            lenders = [self._environment.random_program(rng)]
        if not order.parents or (first := order.parents[0].candidate.program) is None:
            return Proposal(program=None, status=Status.NO_CHANGE, detail="there is no parent")
        files = sorted(name for name in first.files if name.endswith(".py"))
        if not files:
            return Proposal(
                program=None, status=Status.NO_CHANGE, detail="the parent has no Python file"
            )
        name = rng.choices(files, [len(first.files[name]) + 1 for name in files])[0]
        try:
            source = Source(first.files[name])
            child = self._mutated(rng, source, Lenders(lenders, name))
        except BROKEN as error:
            reason = str(error) or type(error).__name__
            return Proposal(
                program=None, status=Status.SYNTAX_ERROR, detail=f"parent's {name}: {reason}"
            )
        if child is None:
            return Proposal(
                program=None, status=Status.NO_CHANGE, detail=f"no mutation changed {name}"
            )
        return Proposal(program=Program({**first.files, name: child.text}))

    def _mutated(self, rng: random.Random, source: Source, others: Lenders) -> Source | None:
        wanted = 1
        while wanted < MOST and rng.random() < self._more:
            wanted += 1
        allowed: set[str] | None = None  # names that come from outside of the parents
        limit = max(self._max_bytes, len(source.data))
        child = source
        for _ in range(wanted * TRIES):
            kind = rng.choices(self._kinds, self._weights)[0]
            mutant = _applied(kind, rng, child, others)
            if mutant is None or len(mutant.data) > limit:
                continue
            if kind not in HARMLESS:
                if allowed is None:
                    allowed = undefined(source.tree)
                lacking = undefined(mutant.tree) - allowed
                if lacking and not (kind in BORROWING and lacking <= others.undefined):
                    continue
            child = mutant
            wanted -= 1
            if wanted <= 0 and not same_tree(child.tree, source.tree):
                return child
        return None if same_tree(child.tree, source.tree) else child


def _applied(
    kind: str, rng: random.Random, source: Source, others: Sequence[Source]
) -> Source | None:
    edits = MUTATIONS[kind][0](rng, source, others)
    if not edits or not source.may_change(edits):
        return None
    try:
        return source.edited(edits)
    except BROKEN:
        return None


def _generates(environment: Environment) -> bool:
    try:
        environment.random_program(random.Random(0))
    except LookupError:
        return False
    return True


class Lenders(Sequence[Source]):
    """The other parents' versions of a file, parsed when a mutation first asks for them."""

    def __init__(self, programs: Sequence[Program | None], name: str) -> None:
        self._texts = [p.files[name] for p in programs if p is not None and name in p.files]

    @cached_property
    def _sources(self) -> list[Source]:
        sources = []
        for text in self._texts:
            try:
                sources.append(Source(text))
            except BROKEN:
                continue  # a parent that cannot be read has nothing to lend
        return sources

    @cached_property
    def undefined(self) -> set[str]:
        """Names that come from outside of these programs."""
        return {name for source in self._sources for name in undefined(source.tree)}

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> Source: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Source]: ...
    def __getitem__(self, index: int | slice) -> Source | Sequence[Source]:
        return self._sources[index]
