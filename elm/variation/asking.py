"""Operators that ask a language model: requests in rounds, attempts, and the verdicts before a run.

An operator of this kind says two things only: what it asks for an order (a `Draft`'s request), and
what it makes of an answer (its `read`). When to ask again, with which seed, what counts as a copy
and how calls are recorded is the same for all of them and stands here.
"""

from __future__ import annotations

import random
from abc import abstractmethod
from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec
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
from elm.models.base import (
    Completion,
    FatalModelError,
    LanguageModel,
    Message,
    ModelError,
    Request,
)
from elm.seeding import derive
from elm.variation.base import Operator, Order
from elm.variation.novelty import Shingles
from environments.base import Environment

Times = Annotated[int, Meta(ge=0, le=16)]
Similarity = Annotated[float, Meta(gt=0, le=1)] | None

MAX_COMPLAINT = 2_000  # characters of an answer that are shown to the model again

# What the model can mend once it is told, and what only another draw can.
_MENDED = frozenset({Status.SYNTAX_ERROR, Status.PATCH_FAILED, Status.EMPTY_OUTPUT})
_REDRAWN = frozenset({Status.NO_CHANGE, Status.NOVELTY_REJECTED})


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """What a completion makes of an order: a program to be evaluated, or a status and why."""

    program: Program | None = None
    status: Status | None = None
    detail: str = ""


class Complaint(msgspec.Struct, frozen=True, kw_only=True):
    """What was wrong with the answer before, for the next prompt."""

    completion: str  # its first characters
    status: Status
    detail: str


class Draft(Protocol):
    """One order between its request and what the answer makes of it."""

    @property
    def request(self) -> Request:
        """What is asked. Its `seed` and `model` are filled in by `ModelOperator`."""
        ...

    def read(self, text: str) -> Written:
        """What an answer makes of the order; never raises, whatever the text is.

        Args:
            text: the completion, never blank, without null bytes and lone surrogates.
        """
        ...


def clean(text: str) -> str:
    """Text that every file and data base can hold."""
    return text.encode("utf-8", "replace").decode("utf-8").replace("\0", "")


class ModelOperator(Operator):
    """Asks a language model for each order, at most `calls` = 1 + retries + redraws times.

    Args:
        environment: its `prompt` says what to tell the model.
        model: writes the children.
        retries: how often an answer that cannot be used (`syntax_error`, `patch_failed`,
            `empty_output`) is asked for again, with what was wrong in the prompt.
        redraws: how often a child that is nothing new (`no_change`, `novelty_rejected`) is drawn
            again, with another seed.
        novelty: similarity to an elite or a parent above which a child is not worth an
            evaluation, from 0 to 1; None: every child is.
        feedback: whether prompts say how the parent's evaluation went.

    Raises:
        ValueError: for a wrong setting, or an environment or model that this cannot work with.
    """

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None,
        *,
        retries: int = 0,
        redraws: int = 0,
        novelty: float | None = None,
        feedback: bool = False,
    ) -> None:
        if model is None:
            raise ValueError(f"{self.name!r} needs a language model; model=none gives it none")
        if environment.prompt is None:
            raise ValueError(
                f"environment {environment.name!r} has nothing to tell a "
                "language model; choose another operator"
            )
        for setting, value in (("retries", retries), ("redraws", redraws)):
            if value < 0:
                raise ValueError(f"{setting}: expected 0 or more, got {value}")
        if novelty is not None and not 0 < novelty <= 1:
            raise ValueError(f"novelty: expected above 0 and at most 1, got {novelty}")
        self._environment, self._model = environment, model
        self._prompt, self._objective = environment.prompt, environment.objective
        self._retries, self._redraws = retries, redraws
        self._threshold, self._feedback = novelty, feedback
        self._shingles = Shingles()
        self.novelty = self._shingles if novelty is not None else None
        self.model_name = model.name
        self.calls = 1 + retries + redraws

    @abstractmethod
    def draft(self, order: Order, rng: random.Random, complaint: Complaint | None) -> Draft:
        """What to ask for an order.

        Args:
            rng: all that is drawn for the draft. An answer that is asked for again because of a
                complaint finds it as it was before, so that the model is asked for the same.
            complaint: what was wrong with the last answer, None if this is the first.
        """

    def propose(self, orders: Sequence[Order]) -> list[Proposal]:
        """One proposal for each order, in their order. See `Operator`."""
        asked = [_Asked(self, order) for order in orders]
        answered = False
        while waiting := [one for one in asked if one.proposal is None]:
            requests = [one.request() for one in waiting]
            try:
                completions = self._model.complete(requests)
            except ModelError as error:
                # Later there are answers that were paid for; whoever asks next is told again.
                if isinstance(error, FatalModelError) and not answered:
                    raise
                for one in waiting:
                    one.failed(str(error))
                break
            answered = True
            for one, completion in zip(waiting, completions, strict=True):
                one.answered(completion)
        return [one.proposal for one in asked if one.proposal is not None]

    def text(self, parent: Elite) -> str:
        """The file of a parent that the environment's prompt is about, "" if it has none."""
        program = parent.candidate.program
        return program.files.get(self._prompt.file, "") if program else ""

    def _judged(self, order: Order, written: Written) -> Written:
        """Adds to what was read the verdicts that are the same for all operators."""
        program = written.program
        if written.status is not None or program is None:
            if program is not None and not _is_small(program):
                return msgspec.structs.replace(written, program=None)
            return written
        try:
            mine = canonical_hash(program)
        except SyntaxError as error:
            kept = program if _is_small(program) else None
            return Written(program=kept, status=Status.SYNTAX_ERROR, detail=str(error.msg))
        for parent in order.parents:
            if parent.candidate.hash == mine:
                detail = f"the same as its parent {parent.candidate.id}"
                return Written(program=program, status=Status.NO_CHANGE, detail=detail)
        if self._threshold is not None:
            return self._compared(order, written, program)
        return written

    def _compared(self, order: Order, written: Written, program: Program) -> Written:
        assert self._threshold is not None
        sketch, shingles = self._shingles.sketch(program), self._shingles
        others = [
            (shingles.sketch(parent.candidate.program), f"its parent {parent.candidate.id}")
            for parent in order.parents
            if parent.candidate.program is not None
        ]
        found = [(shingles.nearest(sketch, [other]), whom) for other, whom in others]
        found.append((shingles.nearest(sketch, order.crowd), "an elite of the archive"))
        similarity, whom = max(found, key=lambda pair: pair[0])
        if similarity <= self._threshold:
            return written
        detail = f"similarity {similarity:.3f} to {whom}, above {self._threshold:g}"
        return Written(program=program, status=Status.NOVELTY_REJECTED, detail=detail)


def _is_small(program: Program) -> bool:
    return all(
        len(text.encode("utf-8", "surrogatepass")) <= MAX_SOURCE_BYTES
        for text in program.files.values()
    )


class _Asked:
    """One order, its attempts so far, and its proposal once there is one."""

    def __init__(self, operator: ModelOperator, order: Order) -> None:
        self._operator, self._order = operator, order
        self._attempts: list[Attempt] = []
        self._retries, self._redraws = operator._retries, operator._redraws
        self._place = order.seed  # what the draft is drawn from
        self._complaint: Complaint | None = None
        self._draft: Draft | None = None
        self._request: Request | None = None
        self.proposal: Proposal | None = None

    def request(self) -> Request:
        """What to ask now."""
        order = self._order
        rng = random.Random(self._place)
        self._draft = self._operator.draft(order, rng, self._complaint)
        # The same draft with another seed, where the last answer could not be used.
        again = self._complaint is not None
        seed = derive(order.seed, len(self._attempts)) if again else rng.getrandbits(63)
        draft = self._draft.request
        self._request = msgspec.structs.replace(
            draft,
            prompt=clean(draft.prompt),
            messages=tuple(Message(turn.role, clean(turn.content)) for turn in draft.messages),
            prefill=clean(draft.prefill),
            seed=seed,
            model=order.model,
        )
        return self._request

    def failed(self, reason: str) -> None:
        """No completion came back at all."""
        nothing = Completion(text="", prompt_tokens=0, completion_tokens=0, finish_reason="error")
        self._note(nothing)
        self._end(Written(status=Status.MODEL_ERROR, detail=reason), "")

    def answered(self, completion: Completion) -> None:
        """Takes a completion; without a proposal afterwards, the order is to be asked again."""
        self._note(completion)
        if completion.finish_reason == "error":
            reason = completion.error or "the model gave no reason"
            self._end(Written(status=Status.MODEL_ERROR, detail=reason), completion.model)
            return
        assert self._draft is not None
        text = clean(completion.text)
        if text.strip():
            written = self._operator._judged(self._order, self._draft.read(text))
        else:
            written = Written(status=Status.EMPTY_OUTPUT, detail="the completion is empty")
        if written.program is None and written.status is None:
            raise RuntimeError(f"operator {self._operator.name!r} read neither program nor status")
        if written.status in _MENDED and self._retries:
            self._retries -= 1
            self._complaint = Complaint(
                completion=text[:MAX_COMPLAINT], status=written.status, detail=written.detail
            )
        elif written.status in _REDRAWN and self._redraws:
            self._redraws -= 1
            self._complaint = None
            self._place = derive(self._order.seed, len(self._attempts))
        else:
            self._end(written, completion.model)

    def _note(self, completion: Completion) -> None:
        assert self._request is not None
        self._attempts.append(
            Attempt(
                model=completion.model or self._operator.model_name,
                prompt=self._request.text,
                completion=clean(completion.text),
                prompt_tokens=completion.prompt_tokens,
                completion_tokens=completion.completion_tokens,
                cached_tokens=completion.cached_tokens,
                finish_reason=completion.finish_reason,
                latency=completion.latency,
                seed=self._request.seed,
                cost=completion.cost,
                tries=completion.tries,
            )
        )

    def _end(self, written: Written, model: str) -> None:
        self.proposal = Proposal(
            program=written.program,
            status=written.status,
            detail=" ".join(written.detail.split("\n")),
            attempts=tuple(self._attempts),
            model=model,
        )
