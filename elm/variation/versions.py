"""FunSearch's prompt: versions of a function by ascending score, and the opening of the next.

After Romera-Paredes et al. ("Mathematical discoveries from program search with large language
models", 2024): the model sees `priority_v0` and `priority_v1` and goes on with `priority_v2`. A
child that calls a version before it is refused, since that one exists in the prompt alone; where it
calls itself, it gets its own name back.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping, Sequence

import msgspec

from elm.candidate import MAX_SOURCE_BYTES, Elite, Program, Status
from elm.models.base import Message, Request
from elm.variation.anatomy import Anatomy
from elm.variation.answer import extract
from elm.variation.asking import Complaint, Draft, Written
from elm.variation.continuing import Continuing, anatomy_of, request
from elm.variation.conversation import fenced
from elm.variation.feedback import comment, complaint_text, complaint_turns
from elm.variation.names import defined, free
from elm.variation.parsing import parses, statements
from elm.variation.regions import RegionError, enforce
from elm.variation.shapes import Begun, Shown, render
from environments.base import Prompt


class Opening(msgspec.Struct, frozen=True):
    """How the function of a prompt begins, in its parts; each is whole lines, "" if it has none."""

    signature: str
    docstring: str
    rest: str  # what must follow

    def text(self, docstring: str) -> str:
        """The opening with another docstring, "" for none."""
        return "\n".join(part for part in (self.signature, docstring, self.rest) if part)

    def improved(self, name: str) -> str:
        """The opening with FunSearch's docstring for a version that follows another."""
        body = self.docstring or self.rest
        if not body and parses(self.signature) is None:  # all of it in one line
            return self.signature
        indent = body[: len(body) - len(body.lstrip())] or "    "
        return self.text(f'{indent}"""Improved version of `{name}`."""')


def draft(
    prompt: Prompt,
    parents: Sequence[Elite],
    remark: Callable[[Elite], str],
    complaint: Complaint | None,
    *,
    continues: bool,
    copy_penalty: float,
    salvage: bool,
) -> Draft:
    """What to ask for: the next version after the parents.

    Args:
        parents: in any order; the best is shown last, and its imports and helpers are the child's.
        remark: comment lines above a parent, or "".
        complaint: what was wrong with the last answer.
        continues: whether the model goes on with a text; else it is asked for the whole function.
        copy_penalty, salvage: see `PromptOperator`.
    """
    known = [p for p in sorted(parents, key=_rank) if anatomy_of(p.candidate.program, prompt)]
    programs = tuple(p.candidate.program for p in known if p.candidate.program)
    best = programs[-1] if programs else None
    anatomy = anatomy_of(best, prompt)
    opening = dissect_opening(prompt.opening)
    names = [f"{prompt.entry}_v{number}" for number in range(len(known) + 1)]
    shown = [
        Shown(_version(anatomy_of(program, prompt), prompt.entry, names, number), remark(parent))
        for number, (parent, program) in enumerate(zip(known, programs, strict=True))
    ]
    signature = renamed(opening.signature, {prompt.entry: names[-1]})
    own = msgspec.structs.replace(opening, signature=signature)
    begun = Begun(
        own.improved(names[-2]) if known else own.text(opening.docstring),
        avoid=_goes_on(anatomy, prompt.opening),
        detail=f"version {len(known)}",
    )
    header = anatomy.header if anatomy else ""
    if not continues:
        shared, rest = render(prompt, shown[::-1], header, begun)
        asked = (
            f"{prompt.instruction}\n\n{fenced(shared + rest)}\n"
            f"Complete `{names[-1]}`: it is to score higher than the versions before it, and must "
            "not call them. Answer with the code of the whole function only."
        )
        turns = (Message("user", asked), *(complaint_turns(complaint) if complaint else ()))
        return Answered(
            request=Request(messages=turns, seed=0),
            prompt=prompt,
            opening=opening,
            names=tuple(names),
            varied=best,
            anatomy=anatomy,
        )
    warning = comment(complaint_text(complaint)) if complaint else ""
    shared, rest = render(prompt, shown[::-1], header, begun, warning)
    told = {"prompt": shared + rest, "shared": len(shared)}
    return Continued(
        request=request(begun, anatomy, copy_penalty, told),
        prompt=msgspec.structs.replace(prompt, entry=names[-1], opening=begun.text),
        begun=begun,
        varied=best,
        anatomy=anatomy,
        parents=programs,
        salvage=salvage,
        own=prompt,
        names=tuple(names),
    )


def _rank(elite: Elite) -> tuple[bool, float, int]:
    fitness = elite.evaluation.fitness
    return fitness is not None, fitness or 0.0, elite.candidate.id


def _goes_on(anatomy: Anatomy | None, opening: str) -> str:
    """How the best parent goes on behind the opening."""
    least = 1 + opening.count("\n")
    if anatomy is None or "\n".join(anatomy.lines[:least]) != opening:
        return ""
    return "".join("\n" + line for line in anatomy.lines[least:])


def _version(anatomy: Anatomy | None, entry: str, names: Sequence[str], number: int) -> str:
    """A parent's function as the prompt shows it."""
    assert anatomy is not None
    text = "\n".join(anatomy.lines)
    if number:
        text = dissect_opening(text).improved(names[number - 1])
    return renamed(text, {entry: names[number]})


def dissect_opening(text: str) -> Opening:
    """A function, or the beginning of one, around its docstring."""
    whole = text if parses(text) is None else text + "\n    pass"
    body = statements(whole)
    if len(body) != 1 or not isinstance(body[0], ast.FunctionDef):
        return Opening(text, "", "")
    lines, first = text.split("\n"), body[0].body[0]
    if first.lineno == body[0].lineno:  # all of it in one line
        return Opening(text, "", "")
    documented = ast.get_docstring(body[0]) is not None
    start = min(first.lineno - 1, len(lines))
    end = (first.end_lineno or first.lineno) if documented else start
    return Opening("\n".join(lines[:start]), "\n".join(lines[start:end]), "\n".join(lines[end:]))


def renamed(text: str, names: Mapping[str, str]) -> str:
    """A text with other names for functions and for all who call them.

    Texts and comments keep what they say; in a text that does not parse they change as well.
    """
    whole = text if parses(text) is None else text + "\n    pass"
    body = statements(whole)
    if not body:
        pattern = "|".join(rf"\b{re.escape(name)}\b" for name in names)
        return re.sub(pattern, lambda match: names[match.group()], text)
    lines = [line.encode() for line in text.split("\n")]
    places: list[tuple[int, int, str]] = []
    for node in (part for one in body for part in ast.walk(one)):
        if isinstance(node, ast.Name) and node.id in names:
            places.append((node.lineno - 1, node.col_offset, node.id))
        elif isinstance(node, ast.FunctionDef) and node.name in names:
            line = lines[node.lineno - 1]
            at = re.compile(rb"def\s+").match(line, node.col_offset)
            if at:
                places.append((node.lineno - 1, at.end(), node.name))
    for row, column, name in sorted(places, reverse=True):
        line = lines[row]
        lines[row] = line[:column] + names[name].encode() + line[column + len(name.encode()) :]
    return b"\n".join(lines).decode()


def ancestors(text: str, entry: str) -> list[str]:
    """Versions that a text reads, which exist in a prompt alone."""
    pattern = re.compile(rf"{re.escape(entry)}_v\d+")
    nodes = (node for one in statements(text) for node in ast.walk(one))
    return sorted({n.id for n in nodes if isinstance(n, ast.Name) and pattern.fullmatch(n.id)})


def _refusal(program: Program, found: Sequence[str]) -> Written:
    return Written(
        program=program,
        status=Status.PATCH_FAILED,
        detail=f"calls {found[0]}, a version that exists in the prompt alone",
    )


class Continued(Continuing, frozen=True, kw_only=True):
    """The next version, whose opening stands and with which the model goes on. A `Draft`."""

    own: Prompt  # the environment's; `prompt` has the names of the versions
    names: tuple[str, ...]  # of the versions, the next one last

    def read(self, text: str) -> Written:
        """The child under the name that the environment calls."""
        function, detail = self._function(text.rstrip())
        function = self.own.opening + function.removeprefix(self.begun.text)
        function = renamed(function, {self.names[-1]: self.own.entry})
        program = self._program(function)
        if len(function) <= MAX_SOURCE_BYTES and (found := ancestors(function, self.own.entry)):
            return _refusal(program, found)
        return msgspec.structs.replace(self, prompt=self.own)._enforced(program, detail)

    def _known(self) -> frozenset[str]:
        """With the versions: a child that calls one is refused, and not patched up."""
        return Continuing._known(self) | {*self.names, self.own.entry}


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """The next version, as a model that answers conversations wrote it. A `Draft`."""

    request: Request
    prompt: Prompt
    opening: Opening
    names: tuple[str, ...]
    varied: Program | None
    anatomy: Anatomy | None

    def read(self, text: str) -> Written:
        """The child under the name that the environment calls, without versions that it repeats."""
        name, entry = self.names[-1], self.prompt.entry
        answer = extract(text, name)
        if not answer.code:
            return Written(status=Status.EMPTY_OUTPUT, detail=answer.reason)
        code = answer.code
        if len(code) > MAX_SOURCE_BYTES or parses(code) is not None:
            return Written(program=self._program(renamed(code, {name: entry})))
        tops = {node.name for node in statements(code) if isinstance(node, ast.FunctionDef)}
        if name not in tops and entry not in tops:
            return Written(
                program=self._program(code),
                status=Status.PATCH_FAILED,
                detail=f"defines no function {name}",
            )
        if name in tops:
            code = renamed(self._cut(code, {entry, *self.names[:-1]}), {name: entry})
        else:
            code = self._cut(code, set(self.names))
        header = self.anatomy.header if self.anatomy else ""
        if free(code) & defined(header):
            code = header + code
        if found := ancestors(code, entry):
            return _refusal(self._program(code), found)
        return self._enforced(code)

    def _cut(self, code: str, others: set[str]) -> str:
        """Code without functions of these names, and with the docstring of the environment."""
        lines, body = code.split("\n"), statements(code)
        for node in reversed(body):
            if not isinstance(node, ast.FunctionDef):
                continue
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
            if node.name in others:
                lines[first : node.end_lineno] = []
            elif (ast.get_docstring(node) or "").startswith("Improved version of"):
                said = node.body[0]
                own = self.opening.docstring
                if not own and len(node.body) == 1:
                    continue
                lines[said.lineno - 1 : said.end_lineno] = own.split("\n") if own else []
        return "\n".join(lines).strip("\n") + "\n"

    def _program(self, text: str) -> Program:
        files = dict(self.varied.files) if self.varied else {}
        files[self.prompt.file] = text
        return Program(files)

    def _enforced(self, code: str) -> Written:
        prompt = self.prompt
        own = self.varied.files.get(prompt.file, "") if self.varied else ""
        try:
            kept = enforce(own, code, entry=prompt.entry, evolve=prompt.evolve)
        except RegionError as error:
            program = self._program(code)
            return Written(program=program, status=Status.PATCH_FAILED, detail=str(error))
        return Written(program=self._program(kept.text), detail="; ".join(kept.notes))
