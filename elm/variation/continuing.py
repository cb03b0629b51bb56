"""Reads a function that a model wrote the end, or the middle, of."""

from __future__ import annotations

from typing import Any

import msgspec

from elm.candidate import MAX_SOURCE_BYTES, Program, Status
from elm.models.base import Request
from elm.variation.anatomy import Anatomy, dissect
from elm.variation.asking import Written
from elm.variation.completion import end_of_function, end_of_line
from elm.variation.names import defined, free
from elm.variation.regions import RegionError, enforce
from elm.variation.repair import repair
from elm.variation.shapes import Begun
from environments.base import Prompt


def anatomy_of(program: Program | None, prompt: Prompt) -> Anatomy | None:
    """A program around its entry; None where it has none: a child starts from the opening."""
    try:
        return dissect(program.files.get(prompt.file, ""), prompt.entry) if program else None
    except LookupError:
        return None


def request(
    begun: Begun, anatomy: Anatomy | None, copy_penalty: float, told: dict[str, Any]
) -> Request:
    """What to ask of a model that goes on with `begun`.

    Args:
        copy_penalty: see `PromptOperator`.
        told: the fields of the request that hold the prompt.
    """
    one_line = begun.line is not None
    return Request(
        seed=0,
        stop=(
            end_of_function(anatomy.indent if anatomy else 4, begun.statements)
            if begun.line is None
            else end_of_line(begun.line)
        ),
        avoid=begun.avoid,
        # The rest of a line is a few tokens, most of which are what stood there before.
        penalty=copy_penalty * (2 if one_line else 1),
        **told,
    )


class Continuing(msgspec.Struct, frozen=True, kw_only=True):
    """A child whose beginning stands, and whose end may: the model goes on with it. A `Draft`."""

    request: Request
    prompt: Prompt
    begun: Begun
    varied: Program | None  # the parent that the child departs from
    anatomy: Anatomy | None  # of it
    parents: tuple[Program, ...]  # all that are shown
    salvage: bool

    def read(self, text: str) -> Written:
        """The child: what stood before the completion, the completion, what follows it."""
        function, detail = self._function(text.rstrip())
        return self._enforced(self._program(function), detail)

    def _function(self, written: str) -> tuple[str, str]:
        """The child's function, and in words where it departs from the parent."""
        begun, details = self.begun, [self.begun.detail]
        whole = begun.text + written + begun.rest
        if self.salvage and len(whole) <= MAX_SOURCE_BYTES:
            closing = "\n".join(self.anatomy.closing) if self.anatomy else ""
            text, note = repair(begun, written, closing, self.prompt.entry, self._known())
            if text:
                whole = text
                details.append(note)
        return whole, "; ".join(part for part in details if part)

    def _known(self) -> frozenset[str]:
        """Names that the child may read without defining them."""
        known = defined(self.prompt.preamble) | free(self.prompt.opening + "\n    pass\n")
        for parent in self.parents:
            known |= free(parent.files.get(self.prompt.file, ""))
        return known | (defined(self.anatomy.header) if self.anatomy else frozenset())

    def _program(self, function: str) -> Program:
        header, trailer = (self.anatomy.header, self.anatomy.trailer) if self.anatomy else ("", "")
        files = dict(self.varied.files) if self.varied else {}
        files[self.prompt.file] = f"{header}{function}\n{trailer}"
        return Program(files)

    def _enforced(self, program: Program, detail: str) -> Written:
        """The same where a marked region may be smaller than the function."""
        file = self.prompt.file
        own = self.varied.files.get(file, "") if self.varied else ""
        marked = "EVOLVE-BLOCK" in own or "funsearch" in own
        if not marked or len(program.files[file]) > MAX_SOURCE_BYTES:
            return Written(program=program, detail=detail)
        try:
            kept = enforce(
                own, program.files[file], entry=self.prompt.entry, evolve=self.prompt.evolve
            )
        except RegionError as error:
            return Written(program=program, status=Status.PATCH_FAILED, detail=str(error))
        details = "; ".join(part for part in (detail, *kept.notes) if part)
        return Written(program=Program({**program.files, file: kept.text}), detail=details)
