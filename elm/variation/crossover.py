"""Language model crossover: several programs one after another, and the model writes the next.

After Meyerson et al. (2023): what parents have in common the model takes up by itself, in whatever
language they are written.
"""

from __future__ import annotations

import random
from typing import Annotated

import msgspec
from msgspec import Meta

from elm.candidate import Elite
from elm.models.base import LanguageModel, Message, Request
from elm.variation.asking import Complaint, Draft, ModelOperator, Similarity, Times
from elm.variation.base import Order
from elm.variation.continuing import Continuing, anatomy_of, request
from elm.variation.conversation import described, freedom, interface
from elm.variation.feedback import (
    comment,
    complaint_text,
    complaint_turns,
    feedback_text,
    score_text,
)
from elm.variation.rewriting import Rewriting
from elm.variation.shapes import Shown, begin, render
from environments.base import Environment

SYSTEM = (
    "You combine Python programs. You answer with one complete program in one fenced block: "
    "nothing left out, no explanation."
)


class Crossover(ModelOperator):
    """Shows several parents, in an order that the seed decides, and takes what comes next.

    The child keeps the imports and helpers of the parent that is shown last. A model that goes on
    with a text sees programs alone, one after another; others are asked in a conversation.

    Args:
        environment: its `prompt` says what to show.
        model: writes the children.
        parents: programs to be shown.
        show_fitness: whether each program is shown with its fitness.
        copy_penalty: what the last program's own next token loses in its logit for as long as the
            child is the same; 0 lets copies be.
        salvage: whether the complete statements of a broken completion are kept.
        retries, redraws, novelty, feedback: see `ModelOperator`.

    Raises:
        ValueError: for a wrong setting, or an environment or model that this cannot work with.
    """

    name = "crossover"

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None = None,
        *,
        parents: Annotated[int, Meta(ge=1, le=16)] = 3,
        show_fitness: bool = False,
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
        self._show_fitness, self._salvage = show_fitness, salvage
        self._copy_penalty = copy_penalty
        self.parents = parents

    def draft(self, order: Order, rng: random.Random, complaint: Complaint | None) -> Draft:
        # The first is shown last, where the child follows.
        parents = rng.sample(order.parents, len(order.parents))
        order = msgspec.structs.replace(order, parents=tuple(parents))
        if self._model.continues:
            return self._continuing(order, rng, complaint)
        asked = Message("user", self._asked(order))
        return Rewriting(
            request=Request(
                messages=(
                    Message("system", SYSTEM),
                    asked,
                    *(complaint_turns(complaint) if complaint else ()),
                ),
                seed=0,
            ),
            prompt=self._prompt,
            parent=parents[0].candidate.program if parents else None,
        )

    def _continuing(self, order: Order, rng: random.Random, complaint: Complaint | None) -> Draft:
        prompt = self._prompt
        programs = tuple(p.candidate.program for p in order.parents if p.candidate.program)
        varied = order.parents[0].candidate.program if order.parents else None
        anatomy = anatomy_of(varied, prompt)
        begun = begin("few_shot", prompt, anatomy, (0.0, 0.0), rng)
        shown = [Shown(self.text(parent), self._remark(parent)) for parent in order.parents]
        warning = comment(complaint_text(complaint)) if complaint else ""
        shared, rest = render(prompt, shown, anatomy.header if anatomy else "", begun, warning)
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

    def _known(self, parent: Elite) -> tuple[str, str]:
        """What is said of a program: its score, and what else its evaluation tells."""
        return (
            score_text(parent, self._objective) if self._show_fitness else "",
            feedback_text(parent) if self._feedback else "",
        )

    def _remark(self, parent: Elite) -> str:
        return comment("\n".join(part for part in self._known(parent) if part))

    def _asked(self, order: Order) -> str:
        prompt = self._prompt
        programs = "\n\n".join(
            f"Program {number}:\n{described(self.text(parent), *self._known(parent))}"
            for number, parent in enumerate(reversed(order.parents), 1)
        )
        last = self.text(order.parents[0]) if order.parents else ""
        return (
            f"{prompt.instruction}\n\n{interface(prompt)}{programs}\n\n"
            f"Write program {len(order.parents) + 1}: a new one that combines what is good in "
            f"these, as a whole program. {freedom(prompt, last)}"
        )
