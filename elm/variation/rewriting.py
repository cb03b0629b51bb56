"""Reads answers that hold a whole program, and puts what may evolve of them into the parent."""

from __future__ import annotations

import msgspec

from elm.candidate import MAX_SOURCE_BYTES, Program, Status
from elm.models.base import Request
from elm.variation.answer import extract
from elm.variation.asking import Written
from elm.variation.parsing import parses
from elm.variation.regions import RegionError, enforce
from environments.base import Prompt


class Rewriting(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a whole program. A `Draft`."""

    request: Request
    prompt: Prompt
    parent: Program | None = None  # whose regions are to stay as they are

    def read(self, text: str) -> Written:
        """Finds the code, and keeps of it what the parent lets evolve."""
        answer = extract(self.request.prefill + text, self.prompt.entry)
        if not answer.code:
            return Written(status=Status.EMPTY_OUTPUT, detail=answer.reason)
        if len(answer.code) > MAX_SOURCE_BYTES or parses(answer.code) is not None:
            return Written(program=self._program(answer.code))  # whoever judges it, says why
        if self.parent is None:
            return Written(program=self._program(answer.code))
        prompt = self.prompt
        own = self.parent.files.get(prompt.file, "")
        try:
            kept = enforce(own, answer.code, entry=prompt.entry, evolve=prompt.evolve)
        except RegionError as error:
            program = self._program(answer.code)
            return Written(program=program, status=Status.PATCH_FAILED, detail=str(error))
        return Written(program=self._program(kept.text), detail="; ".join(kept.notes))

    def _program(self, text: str) -> Program:
        files = dict(self.parent.files) if self.parent else {}
        files[self.prompt.file] = text
        return Program(files)
