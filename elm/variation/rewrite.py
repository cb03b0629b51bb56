"""Full rewrites: the model reads one program with its score and answers with a better one.

The operator of the greedy search, and the plainest that there is: one parent, one conversation.
"""

from __future__ import annotations

import random

from elm.models.base import LanguageModel, Message, Request
from elm.variation.asking import Complaint, Draft, ModelOperator, Similarity, Times
from elm.variation.base import Order
from elm.variation.conversation import (
    END_OF_BLOCK,
    PREFILL,
    described,
    fenced,
    freedom,
    interface,
)
from elm.variation.feedback import complaint_turns, feedback_text, metrics_text, score_text
from elm.variation.rewriting import Rewriting
from environments.base import Environment

SYSTEM = (
    "You improve Python programs. You answer with one complete program in one fenced block: "
    "nothing left out, no explanation."
)


class Rewrite(ModelOperator):
    """Asks for a better version of one whole program.

    Args:
        environment: its `prompt` says what to show.
        model: writes the children.
        show_fitness: whether the program is shown with its fitness and metrics.
        retries, redraws, novelty, feedback: see `ModelOperator`.

    Raises:
        ValueError: for a wrong setting, or an environment or model that this cannot work with.
    """

    name = "rewrite"
    parents = 1

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None = None,
        *,
        show_fitness: bool = True,
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
        self._show_fitness = show_fitness

    def draft(self, order: Order, rng: random.Random, complaint: Complaint | None) -> Draft:
        continues = self._model.continues
        turns = (Message("system", SYSTEM), Message("user", self._asked(order)))
        return Rewriting(
            request=Request(
                messages=turns + (complaint_turns(complaint) if complaint else ()),
                prefill=PREFILL if continues else "",
                stop=END_OF_BLOCK if continues else None,
                seed=0,
            ),
            prompt=self._prompt,
            parent=order.parents[0].candidate.program if order.parents else None,
        )

    def _asked(self, order: Order) -> str:
        prompt = self._prompt
        told = f"{prompt.instruction}\n\n{interface(prompt)}"
        if not order.parents:
            opening = fenced(prompt.opening)
            return f"{told}Write such a program. It begins like this:\n{opening}"
        parent = order.parents[0]
        text, known = self.text(parent), ""
        if self._feedback:
            known = feedback_text(parent)
        elif self._show_fitness and (metrics := metrics_text(parent)):
            known = f"metrics: {metrics}"
        score = score_text(parent, self._objective) if self._show_fitness else ""
        return (
            f"{told}This is the program so far:\n{described(text, score, known)}\n\n"
            f"Write a better version of the whole program. {freedom(prompt, text)}"
        )
