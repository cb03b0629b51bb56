"""What a run may spend, and what it has spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from elm.candidate import Attempt, Candidate, Evaluation, Status

Count = Annotated[int, msgspec.Meta(gt=0)]
Amount = Annotated[float, msgspec.Meta(gt=0)]


class Budget(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of a run; whichever is reached first ends it cleanly. None: no limit.

    `evaluations` and `model_calls` are kept to exactly. `tokens`, `cost` and `seconds` are looked
    at between blocks, so that what is under way when they are reached is still finished.
    """

    evaluations: Count | None = None  # programs that a sandbox executed, seeds included
    # Completions asked for, retries and failures included. Never exceeded: where a child may take
    # several, a rest that is too small for one more child is left.
    model_calls: Count | None = None
    tokens: Count | None = None  # prompt and completion together, cached ones included
    seconds: Amount | None = None  # wall time, stops between resumes left out
    cost: Amount | None = None  # in the currency of the model's prices
    # A fitness that is good enough, looked at between blocks; not a limit that surely ends a run.
    fitness: float | None = None
    stall_blocks: Count = 200  # blocks in a row that bring no new program end the run


class Spent:
    """Running totals of committed candidates. A duplicate or a program that does not parse costs a
    model call and its tokens, but no evaluation.
    """

    def __init__(self, active_parameters: Mapping[str, int | None]) -> None:
        """Args:
        active_parameters: by the names of models in attempts; empty where there is no model.
        """
        self._active_parameters = active_parameters
        self._flops: int | None = 0 if active_parameters else None
        self.candidates = 0
        self.children = 0  # candidates that an operator made, hence without the seeds
        self.evaluations = 0
        self.model_calls = 0
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.completion_tokens = 0
        self.cost = 0.0
        self.generation_seconds = 0.0
        self.statuses: Counter[Status] = Counter()  # of children
        self.peak_memory_mb = 0.0

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens

    @property
    def flops(self) -> int | None:
        """2 x active parameters x tokens that were computed (Wu et al., "Compute Allocation");
        None where nobody knows the parameters of a model that was asked."""
        return self._flops

    def add(
        self, candidate: Candidate, evaluation: Evaluation | None, attempts: Iterable[Attempt]
    ) -> None:
        self.candidates += 1
        if evaluation is not None:
            self.evaluations += 1
            self.peak_memory_mb = max(self.peak_memory_mb, evaluation.peak_memory_mb)
        for attempt in attempts:
            self.model_calls += 1
            self.prompt_tokens += attempt.prompt_tokens
            self.cached_tokens += attempt.cached_tokens
            self.completion_tokens += attempt.completion_tokens
            self.cost += attempt.cost
            self._count_flops(attempt)
        if candidate.block > 0:  # block 0 holds the seeds
            self.children += 1
            status = evaluation.status if evaluation is not None else candidate.status
            assert status is not None  # a committed candidate has one or the other
            self.statuses[status] += 1

    def _count_flops(self, attempt: Attempt) -> None:
        active = self._active_parameters.get(attempt.model)
        if active is None or self._flops is None:
            self._flops = None
            return
        computed = attempt.prompt_tokens - attempt.cached_tokens + attempt.completion_tokens
        self._flops += 2 * active * max(0, computed)

    def fraction(self, *statuses: Status) -> float:
        """Share of these among all children; 0 before there are any."""
        return sum(self.statuses[s] for s in statuses) / self.children if self.children else 0.0

    def metrics(self) -> dict[str, Any]:
        unparsed = (
            Status.MODEL_ERROR,
            Status.EMPTY_OUTPUT,
            Status.SYNTAX_ERROR,
            Status.PATCH_FAILED,
        )
        return {
            "candidates": self.candidates,
            "evaluations": self.evaluations,
            "model_calls": self.model_calls,
            "tokens": self.tokens,
            "prompt_tokens": self.prompt_tokens,
            "cached_tokens": self.cached_tokens,
            "completion_tokens": self.completion_tokens,
            "flops": self.flops,
            "cost": round(self.cost, 6),
            "generation_seconds": round(self.generation_seconds, 3),
            "statuses": {status.value: n for status, n in sorted(self.statuses.items())},
            "valid_fraction": 1.0 - self.fraction(*unparsed) if self.children else 0.0,
            "runnable_fraction": self.fraction(Status.OK),
        }
