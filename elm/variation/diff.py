"""Diffs: the model says what to change of a program, and everything else stays as it is.

The operator of Evolution through Large Models (Lehman et al., 2022), for diff models in their own
layout, and for models that answer conversations with blocks as AlphaEvolve and aider ask for.
"""

from __future__ import annotations

import random
import re
from typing import Literal

from elm.candidate import Program
from elm.models.base import LanguageModel, Message, Request, StopRule
from elm.variation.asking import Complaint, Draft, ModelOperator, Similarity, Times
from elm.variation.base import Order
from elm.variation.conversation import described, freedom, interface
from elm.variation.feedback import (
    comment,
    complaint_text,
    complaint_turns,
    feedback_text,
    metrics_text,
    score_text,
)
from elm.variation.patching import Patching
from environments.base import Environment

Layout = Literal["elm", "unified", "search_replace"]

# With their weights, as in the paper.
MESSAGES = (
    ("Changed {entry} function.", 0.4),
    ("Changed parameters in {entry} function.", 0.3),
    ("Small change to {entry} function.", 0.3),
)

BLOCKS = """\
You change Python programs. You answer with one or more blocks of this form and nothing else:

<<<<<<< SEARCH
    speed = 1.0
    for step in range(10):
=======
    speed = 2.5
    for step in range(12):
>>>>>>> REPLACE

The SEARCH part repeats whole lines of the program exactly, with their indentation, and enough of \
them that they stand there only once. The REPLACE part is what takes their place. Every other line \
stays, so leave nothing out with dots."""

UNIFIED = """\
You change Python programs. You answer with a unified diff and nothing else:

--- {file}
+++ {file}
@@ -4,3 +4,3 @@
 def move():
-    speed = 1.0
+    speed = 2.5
     return speed

Lines that begin with a blank or a minus repeat lines of the program exactly; lines that begin \
with a plus are new. Show two or three lines around each change. Every other line stays, so leave \
nothing out with dots."""

_END_OF_BLOCKS = re.compile(r"^>{5,9} ?REPLACE[ \t]*\n\s*(?=[^<\s])", re.MULTILINE)
_END_OF_DIFF = re.compile(r"^(?:```|<NME>|<\|)|\n\n\n", re.MULTILINE)
_END_OF_RAW = re.compile(r"^(?![ +\-@\\\n])(?=.)", re.MULTILINE)


def _before(pattern: re.Pattern[str]) -> StopRule:
    """A rule that ends an answer with the line before the first, but for its own, that matches."""

    def rule(text: str) -> int | None:
        match = pattern.search(text, text.find("\n") + 1) if "\n" in text else None
        return match.start() if match else None

    return rule


def _behind(pattern: re.Pattern[str]) -> StopRule:
    def rule(text: str) -> int | None:
        match = pattern.search(text)
        return match.end() if match else None

    return rule


STOPS = {"search_replace": _behind(_END_OF_BLOCKS), "unified": _before(_END_OF_DIFF)}
END_OF_RAW = _before(_END_OF_RAW)


class Diff(ModelOperator):
    """Asks for a change of one program, and applies it.

    Answers are taken in any layout that a model chooses; what does not apply beyond doubt is
    `patch_failed` with the reason.

    Args:
        environment: its `prompt` says what to show, and its commit messages what to ask for.
        model: writes the diffs.
        layout: what is asked for: "search_replace" blocks, a "unified" diff, or "elm", which
            shows a model that goes on with texts what the diff models of the paper were trained
            on, and asks other models for a unified diff.
        show_fitness: whether the program is shown with its fitness and metrics.
        retries, redraws, novelty, feedback: see `ModelOperator`.

    Raises:
        ValueError: for a wrong setting, or an environment or model that this cannot work with.
    """

    name = "diff"
    parents = 1

    def __init__(
        self,
        environment: Environment,
        model: LanguageModel | None = None,
        *,
        layout: Layout = "search_replace",
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
        if layout not in ("elm", "unified", "search_replace"):
            raise ValueError(
                f"variation.layout: expected elm, unified or search_replace, got {layout!r}"
            )
        self._layout, self._show_fitness = layout, show_fitness
        entry = self._prompt.entry
        messages = self._prompt.commit_messages or MESSAGES
        self._messages = [text.replace("{entry}", entry) for text, _ in messages]
        self._weights = [weight for _, weight in messages]

    def draft(self, order: Order, rng: random.Random, complaint: Complaint | None) -> Draft:
        message = rng.choices(self._messages, self._weights)[0]
        if self._layout == "elm" and self._model.continues:
            return self._raw(order, message, complaint)
        file = self._prompt.file
        blocks = self._layout == "search_replace"
        system = BLOCKS if blocks else UNIFIED.replace("{file}", file)
        turns = (Message("system", system), Message("user", self._asked(order, message)))
        prefill = "<<<<<<< SEARCH\n" if blocks else f"--- {file}\n+++ {file}\n@@ "
        continues = self._model.continues
        return Patching(
            request=Request(
                messages=turns + (complaint_turns(complaint) if complaint else ()),
                prefill=prefill if continues else "",
                stop=STOPS["search_replace" if blocks else "unified"] if continues else None,
                seed=0,
            ),
            prompt=self._prompt,
            parent=self._parent(order),
        )

    def _raw(self, order: Order, message: str, complaint: Complaint | None) -> Draft:
        """The layout of the diff models: file, commit message, and the diff that they go on with.

        What the program may use, and what is known of it, stands at the beginning of its file.
        """
        prompt, parent = self._prompt, self._parent(order)
        said = [comment(self._known(order))] if self._known(order) else []
        said += [comment(complaint_text(complaint))] if complaint else []
        preamble = prompt.preamble.strip("\n")
        header = "".join(part + "\n" for part in ([preamble + "\n"] if preamble else []) + said)
        text = (header + parent.files.get(prompt.file, "")).rstrip("\n")
        start = f"<NME> {prompt.file}\n<BEF> "
        return Patching(
            request=Request(
                prompt=f"{start}{text}\n<MSG> {message}\n<DFF>",
                shared=len(start + (preamble + "\n\n" if preamble else "")),
                stop=END_OF_RAW,
                seed=0,
            ),
            prompt=prompt,
            parent=parent,
            header=header,
        )

    def _parent(self, order: Order) -> Program:
        program = order.parents[0].candidate.program if order.parents else None
        return program if program and program.files else Program({self._prompt.file: ""})

    def _known(self, order: Order) -> str:
        """What the last evaluation said of the program, without its score where that is shown."""
        if not order.parents:
            return ""
        if self._feedback:
            return feedback_text(order.parents[0])
        metrics = metrics_text(order.parents[0]) if self._show_fitness else ""
        return f"metrics: {metrics}" if metrics and self._layout != "elm" else ""

    def _asked(self, order: Order, message: str) -> str:
        prompt, parent = self._prompt, self._parent(order)
        text = parent.files.get(prompt.file, "")
        score = ""
        if self._show_fitness and order.parents:
            score = score_text(order.parents[0], self._objective)
        others = "".join(
            f"Its file {name}:\n{described(parent.files[name], '', '')}\n\n"
            for name in sorted(parent.files)
            if name != prompt.file
        )
        named = " Name the file above each block." if others else ""
        if not text.strip():
            return (
                f"{prompt.instruction}\n\n{interface(prompt)}The file {prompt.file} is empty so "
                "far: leave the SEARCH part empty, and write the program."
            )
        return (
            f"{prompt.instruction}\n\n{interface(prompt)}{others}"
            f"This is the program so far, {prompt.file}:\n"
            f"{described(text, score, self._known(order))}\n\n"
            f"Change it so that it gets better.{named} {freedom(prompt, text)}\n"
            f"The commit message of your change: {message}"
        )
