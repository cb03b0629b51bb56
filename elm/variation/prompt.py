"""Few-shot prompt mutation: a language model sees several programs and writes the next one.

After the mutation prompts of OpenELM and the best-shot prompts of FunSearch (Romera-Paredes et
al., 2024).
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from elm.candidate import (
    MAX_SOURCE_BYTES,
    Attempt,
    Elite,
    Program,
    Proposal,
    Status,
    canonical_hash,
)
from elm.models.base import Completion, LanguageModel, ModelError, Request
from elm.variation.anatomy import Anatomy, dissect
from elm.variation.base import Order
from elm.variation.completion import end_of_function, end_of_line
from elm.variation.names import defined, free
from elm.variation.repair import repair
from elm.variation.shapes import Begun, Shown, begin, render
from environments.base import Environment

Share = Annotated[float, Meta(ge=0, le=1)]


class PromptOperator:
    """Shows parents to a language model and lets it write a child.

    Args:
        environment: its `prompt` says what to show.
        model: writes the children.
        shape: "few_shot" (programs, then the opening of another), "chat" (an instruction to a
            model tuned for chat), "partial" (few-shot, and the child begins with the first
            statements of the parent to be varied), "splice" (a few statements of the parent are
            written anew, and the rest of it follows), "infill" (the same with the rest of one
            line) or "mixed" (half "splice", half "infill").
        parents: programs to be shown; the last shown is the one to be varied.
        siblings: children of the same parents that are best asked for in a row.
        show_fitness: whether each program is shown with its fitness.
        keep_least, keep_most: of shape "partial", the share of the parent's statements that the
            child begins with, drawn evenly between the two.
        copy_penalty: what the parent's own next token loses in its logit for as long as the child
            is still the same as the parent, twice that where only a line is written; copies do
            not count, and 0 lets them be.
        salvage: whether the complete statements of a broken completion are kept.

    Raises:
        ValueError: for a wrong setting, or an environment or model that this cannot work with.
    """

    name: ClassVar[str] = "prompt"

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None = None,
        *,
        shape: Literal["few_shot", "chat", "partial", "splice", "infill", "mixed"] = "mixed",
        parents: Annotated[int, Meta(ge=1, le=16)] = 2,
        siblings: Annotated[int, Meta(ge=1)] = 8,
        show_fitness: bool = False,
        keep_least: Share = 0.0,
        keep_most: Share = 0.8,
        copy_penalty: Annotated[float, Meta(ge=0)] = 2.0,
        salvage: bool = True,
    ) -> None:
        if model is None:
            raise ValueError("variation=prompt needs a language model; model=none gives it none")
        if environment.prompt is None:
            raise ValueError(
                f"variation=prompt: environment {environment.name!r} has nothing to tell a "
                "language model; choose another operator"
            )
        if keep_least > keep_most:
            raise ValueError("variation.keep_least must not be above variation.keep_most")
        self._model, self._prompt = model, environment.prompt
        self._objective = environment.objective
        self._shape, self._show_fitness, self._salvage = shape, show_fitness, salvage
        self._copy_penalty = copy_penalty
        self._kept = (keep_least, keep_most)
        self.parents, self.siblings = parents, siblings
        self.model_name = model.name

    def propose(self, orders: Sequence[Order]) -> list[Proposal]:
        """One proposal for each order, in their order. See `Operator`."""
        drafts = [_Draft(self, order) for order in orders]
        try:
            completions = self._model.complete([draft.request for draft in drafts])
        except ModelError as error:
            return [draft.failed(str(error)) for draft in drafts]
        return [
            draft.proposal(completion)
            for draft, completion in zip(drafts, completions, strict=True)
        ]


def _clean(text: str) -> str:
    """Text that every file and data base can hold."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


class _Draft:
    """One order between its request and its proposal."""

    def __init__(self, operator: PromptOperator, order: Order) -> None:
        self._operator, self._order = operator, order
        prompt = self._prompt = operator._prompt
        self._anatomy: Anatomy | None = None
        if order.parents:
            text = self._file(order.parents[0])
            try:
                self._anatomy = dissect(text, prompt.entry)
            except LookupError:
                self._anatomy = None  # the child then starts from the opening alone
        rng = random.Random(order.seed)
        self._begun: Begun = begin(operator._shape, prompt, self._anatomy, operator._kept, rng)
        shown = [Shown(self._file(parent), self._remark(parent)) for parent in order.parents]
        header = self._anatomy.header if self._anatomy else ""
        shared, rest = render(operator._shape, prompt, shown, header, self._begun)
        indent = self._anatomy.indent if self._anatomy else 4
        self.request = Request(
            prompt=shared + rest,
            seed=rng.getrandbits(63),
            stop=(
                end_of_function(indent, self._begun.statements)
                if self._begun.line is None
                else end_of_line(self._begun.line)
            ),
            shared=len(shared),
            avoid=self._begun.avoid,
            # The rest of a line is a few tokens, most of which are what stood there before.
            penalty=operator._copy_penalty * (1 if self._begun.line is None else 2),
        )

    def _file(self, parent: Elite) -> str:
        program = parent.candidate.program
        return program.files.get(self._prompt.file, "") if program else ""

    def _remark(self, parent: Elite) -> str:
        fitness = parent.evaluation.fitness
        if not self._operator._show_fitness or fitness is None:
            return ""
        objective = self._operator._objective
        return f"# {objective.name}: {fitness:.4g} {objective.unit}".rstrip()

    def _attempt(self, completion: Completion) -> Attempt:
        return Attempt(
            model=self._operator.model_name,
            prompt=_clean(self.request.prompt),
            completion=_clean(completion.text),
            prompt_tokens=completion.prompt_tokens,
            completion_tokens=completion.completion_tokens,
            cached_tokens=completion.cached_tokens,
            finish_reason=completion.finish_reason,
            latency=completion.latency,
            seed=self.request.seed,
        )

    def failed(self, reason: str) -> Proposal:
        """No completion came back."""
        nothing = Completion(text="", prompt_tokens=0, completion_tokens=0, finish_reason="error")
        attempts = (self._attempt(nothing),)
        return Proposal(program=None, status=Status.MODEL_ERROR, detail=reason, attempts=attempts)

    def proposal(self, completion: Completion) -> Proposal:
        """What the completion makes of the order."""
        attempts = (self._attempt(completion),)
        if completion.finish_reason == "error":
            return self.failed(completion.text or "the model gave no reason")
        written = _clean(completion.text).rstrip()
        if not written.strip():
            return Proposal(
                program=None,
                status=Status.EMPTY_OUTPUT,
                detail="the completion is empty",
                attempts=attempts,
            )
        text, detail = self._function(written)
        program = self._program(text)
        try:
            mine = canonical_hash(program)
        except SyntaxError as error:
            small = len(text) <= MAX_SOURCE_BYTES
            return Proposal(
                program=program if small else None,
                status=Status.SYNTAX_ERROR,
                detail=str(error),
                attempts=attempts,
            )
        for parent in self._order.parents:
            if parent.candidate.hash == mine:
                return Proposal(
                    program=program,
                    status=Status.NO_CHANGE,
                    detail=f"the same as its parent {parent.candidate.id}",
                    attempts=attempts,
                )
        return Proposal(program=program, detail=detail, attempts=attempts)

    def _function(self, written: str) -> tuple[str, str]:
        """The child's function, and in words where it departs from the parent."""
        begun, details = self._begun, [self._begun.detail]
        whole = begun.text + written + begun.rest
        if self._operator._salvage and len(whole) <= MAX_SOURCE_BYTES:
            closing = "\n".join(self._anatomy.closing) if self._anatomy else ""
            text, note = repair(begun, written, closing, self._prompt.entry, self._known())
            if text:
                whole = text
                details.append(note)
        return whole, "; ".join(part for part in details if part)

    def _known(self) -> set[str]:
        """Names that the child may read without defining them."""
        known = defined(self._prompt.preamble) | free(self._prompt.opening + "\n    pass\n")
        for parent in self._order.parents:
            known |= free(self._file(parent))
        return known | (defined(self._anatomy.header) if self._anatomy else set())

    def _program(self, function: str) -> Program:
        anatomy, file = self._anatomy, self._prompt.file
        header, trailer = (anatomy.header, anatomy.trailer) if anatomy else ("", "")
        parents = self._order.parents
        kept = parents[0].candidate.program if parents else None
        files = dict(kept.files) if kept else {}
        files[file] = f"{header}{function}\n{trailer}"
        return Program(files)
