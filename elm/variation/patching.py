"""Reads answers that hold a diff, and puts what may evolve of them into the parent."""

from __future__ import annotations

import msgspec

from elm.candidate import MAX_SOURCE_BYTES, Program, Status
from elm.models.base import Request
from elm.variation.asking import Written
from elm.variation.parsing import parses
from elm.variation.patch import Hunk, PatchError, apply, parse
from elm.variation.regions import RegionError, enforce
from environments.base import Prompt

_BEGINNINGS = ("<<<<<<<", "@@", "---", "```", "diff ", "***", "<NME>", "<DFF>")


class Patching(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a diff. A `Draft`."""

    request: Request
    prompt: Prompt
    parent: Program
    header: str = ""  # what was shown before the program as if it were part of its file

    def read(self, text: str) -> Written:
        """Applies the diff, and keeps of it what the parent lets evolve."""
        file, files = self.prompt.file, dict(self.parent.files)
        shown = files | {file: self.header + files.get(file, "")}
        try:
            applied = apply(shown, self._hunks(text))
        except PatchError as error:
            return Written(status=Status.PATCH_FAILED, detail=str(error))
        changed = {name: text for name, text in applied.files.items() if text != shown[name]}
        if file in changed and self.header:
            if not changed[file].startswith(self.header):
                detail = "the diff changes what stands before the program, which is not part of it"
                return Written(status=Status.PATCH_FAILED, detail=detail)
            changed[file] = changed[file][len(self.header) :]
        return self._kept(changed, list(applied.notes))

    def _hunks(self, text: str) -> list[Hunk]:
        """The hunks of an answer to which the prompt has written the beginning."""
        prefill = self.request.prefill
        if not prefill or text.lstrip().startswith(_BEGINNINGS):
            return parse(text)
        try:
            return parse(prefill + text)
        except PatchError as error:
            try:
                return parse(text)  # a model may begin anew where it should go on
            except PatchError:
                raise error from None

    def _kept(self, changed: dict[str, str], notes: list[str]) -> Written:
        """The child, with everything that may not evolve as it was."""
        before = self.parent.files
        patched = Program({**before, **changed})
        for name in sorted(changed):
            if _is_large(changed[name]):
                return Written(program=patched)  # whoever judges it, says so
            error = parses(changed[name]) if name.endswith(".py") else None
            if error is not None:
                where = f" (line {error.lineno})" if error.lineno else ""
                detail = f"behind the diff, {name}{where}: {error.msg}"
                return Written(program=patched, status=Status.SYNTAX_ERROR, detail=detail)
        files = dict(before)
        for name in sorted(changed):
            main = name == self.prompt.file
            try:
                kept = enforce(
                    before.get(name, ""),
                    changed[name],
                    entry=self.prompt.entry if main else "",
                    evolve=self.prompt.evolve if main else "file",
                )
            except RegionError as error:
                detail = f"{name}: {error}"
                return Written(program=patched, status=Status.PATCH_FAILED, detail=detail)
            if not main and self.prompt.evolve == "entry" and kept.text == changed[name]:
                detail = f"the diff changes {name}, where nothing evolves"
                return Written(program=patched, status=Status.PATCH_FAILED, detail=detail)
            files[name] = kept.text
            notes += kept.notes
        if files == before:
            detail = "; ".join(["the diff changes only what may not evolve", *notes])
            return Written(program=patched, status=Status.PATCH_FAILED, detail=detail)
        return Written(program=Program(files), detail="; ".join(notes))


def _is_large(text: str) -> bool:
    return len(text.encode("utf-8", "surrogatepass")) > MAX_SOURCE_BYTES
