"""Few-shot prompt mutation: a language model sees several programs and writes the next one.

After the mutation prompts of OpenELM and the best-shot prompts of FunSearch (Romera-Paredes et
al., 2024).
"""

from __future__ import annotations

import random
from typing import Annotated, Any, Literal

from msgspec import Meta

from elm.candidate import Elite
from elm.models.base import LanguageModel, Message, Request
from elm.variation.asking import Complaint, Draft, ModelOperator, Similarity, Times
from elm.variation.base import Order
from elm.variation.continuing import Continuing, anatomy_of, request
from elm.variation.conversation import PREFILL
from elm.variation.feedback import (
    comment,
    complaint_text,
    complaint_turns,
    feedback_text,
    score_text,
)
from elm.variation.rewriting import Rewriting
from elm.variation.shapes import Shown, begin, converse, render
from elm.variation.versions import draft as draft_version
from environments.base import Environment

Shape = Literal["auto", "few_shot", "chat", "partial", "splice", "infill", "mixed", "versions"]
Share = Annotated[float, Meta(ge=0, le=1)]


class PromptOperator(ModelOperator):
    """Shows parents to a language model and lets it write a child.

    Args:
        environment: its `prompt` says what to show.
        model: writes the children.
        shape: "few_shot" (programs, then the opening of another), "chat" (an instruction to a
            model tuned for chat), "partial" (few-shot, and the child begins with the first
            statements of the parent to be varied), "splice" (a few statements of the parent are
            written anew, and the rest of it follows), "infill" (the same with the rest of one
            line), "mixed" (half "splice", half "infill"), "versions" (the parents by ascending
            score as numbered versions, then the opening of the next) or "auto": "mixed" for a
            model that goes on with a text, "chat" for one that answers conversations only.
        parents: programs to be shown; the last shown is the one to be varied.
        siblings: children of the same parents that are best asked for in a row.
        show_fitness: whether each program is shown with its fitness.
        keep_least, keep_most: of shape "partial", the share of the parent's statements that the
            child begins with, drawn evenly between the two.
        copy_penalty: what the parent's own next token loses in its logit for as long as the child
            is still the same as the parent, twice that where only a line is written; copies do
            not count, and 0 lets them be.
        salvage: whether the complete statements of a broken completion are kept.
        retries, redraws, novelty, feedback: see `ModelOperator`.

    Raises:
        ValueError: for a wrong setting, or an environment or model that this cannot work with.
    """

    name = "prompt"

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None = None,
        *,
        shape: Shape = "auto",
        parents: Annotated[int, Meta(ge=1, le=16)] = 2,
        siblings: Annotated[int, Meta(ge=1)] = 8,
        show_fitness: bool = False,
        keep_least: Share = 0.0,
        keep_most: Share = 0.8,
        copy_penalty: Annotated[float, Meta(ge=0)] = 2.0,
        salvage: bool = True,
        retries: Times = 0,
        redraws: Times = 0,
        novelty: Similarity = None,
        feedback: bool = False,
    ) -> None:
        super().__init__(
            environment,
            model,
            retries=retries,
            redraws=redraws,
            novelty=novelty,
            feedback=feedback,
        )
        if keep_least > keep_most:
            raise ValueError("keep_least: must not be above keep_most")
        if shape == "auto":
            shape = "mixed" if self._model.continues else "chat"
        elif shape not in ("chat", "versions") and not self._model.continues:
            raise ValueError(
                f"shape: {shape!r} goes on with a text, but model {self._model.name!r} answers "
                "conversations only; choose auto or chat, or versions"
            )
        self._shape, self._show_fitness, self._salvage = shape, show_fitness, salvage
        self._copy_penalty = copy_penalty
        self._kept = (keep_least, keep_most)
        self.parents, self.siblings = parents, siblings

    def draft(self, order: Order, rng: random.Random, complaint: Complaint | None) -> Draft:
        prompt = self._prompt
        if self._shape == "versions":
            return draft_version(
                prompt,
                order.parents,
                self._remark,
                complaint,
                continues=self._model.continues,
                copy_penalty=self._copy_penalty,
                salvage=self._salvage,
            )
        programs = tuple(p.candidate.program for p in order.parents if p.candidate.program)
        varied = order.parents[0].candidate.program if order.parents else None
        if not self._model.continues:
            asked = Request(messages=self._turns(order, complaint), seed=0)
            return Rewriting(request=asked, prompt=prompt, parent=varied)
        anatomy = anatomy_of(varied, prompt)
        begun = begin(self._shape, prompt, anatomy, self._kept, rng)
        header = anatomy.header if anatomy else ""
        told: dict[str, Any]
        if self._shape == "chat":
            told = {
                "messages": self._turns(order, complaint),
                "prefill": PREFILL + header + begun.text,
            }
        else:
            warning = comment(complaint_text(complaint)) if complaint else ""
            shared, rest = render(prompt, self._shown(order), header, begun, warning)
            told = {"prompt": shared + rest, "shared": len(shared)}
        return Continuing(
            request=request(begun, anatomy, self._copy_penalty, told),
            prompt=prompt,
            begun=begun,
            varied=varied,
            anatomy=anatomy,
            parents=programs,
            salvage=self._salvage,
        )

    def _shown(self, order: Order) -> list[Shown]:
        return [Shown(self.text(parent), self._remark(parent)) for parent in order.parents]

    def _remark(self, parent: Elite) -> str:
        lines = [score_text(parent, self._objective)] if self._show_fitness else []
        if self._feedback:
            lines.append(feedback_text(parent))
        return comment("\n".join(line for line in lines if line))

    def _turns(self, order: Order, complaint: Complaint | None) -> tuple[Message, ...]:
        asked = Message("user", converse(self._prompt, self._shown(order)))
        return (asked, *(complaint_turns(complaint) if complaint else ()))
