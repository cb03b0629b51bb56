"""An environment at work, in real jailed slots: its programs, and its judge with bad artifacts."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from elm.build import build_bundle
from elm.candidate import Evaluation, Program, Status
from elm.checkup.artifacts import PLAIN, spoiled
from elm.checkup.finding import Finding
from elm.dispatch.base import FleetError
from elm.dispatch.batch import Batch
from elm.register import sound
from environments.base import Environment
from sandbox.protocol import Bundle, Code, Scoring

_LOCAL = {"name": "local", "slots": 1}
_BROKEN = ("", "1 +", "raise SystemError\n", "def f():\n    return 3\n", "null", "[]")
_RANDOM = 8  # programs of the environment's generator, if it has one
_SHOWN = 3  # of many problems of one kind
_PRODUCER = (
    'import json\n\n\ndef produce(files, settings):\n    return json.loads(files["artifact"])\n'
)
_REFUSED = (Status.BAD_RESULT, Status.OUTPUT_LIMIT)


def execution(
    environment: Environment, limits: Mapping[str, Any] | None = None
) -> Iterator[Finding]:
    """Checks that need a sandbox, which is started on this machine."""
    with Batch(environment, _LOCAL, limits) as batch:
        seeds = [(seed.name, seed.program) for seed in environment.seeds()]
        programs = [program for _, program in seeds]
        try:
            first = _run(batch, environment, programs)
        except FleetError as error:
            yield Finding("FAIL", "starts in a sandbox", str(error))
            return
        yield Finding("ok", "starts in a sandbox", f"level {first[0].level}")
        names = [name for name, _ in seeds]
        problems = [
            f"{name!r}: {e.status}: {e.detail}"
            for name, e in zip(names, first, strict=True)
            if e.status is not Status.OK
        ]
        yield from _findings("seeds run", problems)
        good = [(name, e) for name, e in zip(names, first, strict=True) if e.status is Status.OK]
        yield from _findings(
            "seeds score in range",
            [f"{name!r}: {p}" for name, e in good for p in _out_of_range(environment, e)],
        )
        again = _run(batch, environment, programs)
        yield from _findings(
            "the same twice",
            [
                f"{name!r}: {difference}"
                for name, one, two in zip(names, first, again, strict=True)
                for difference in _differences(environment, one, two)
            ],
        )
        yield from _random(batch, environment)
        yield from _broken(batch, environment, programs[0])
    if good and not all(e.verified for _, e in good):
        yield Finding(
            "note", "verified", "no judge computes scores again, so results count as unverified"
        )
    yield from _artifacts(environment, limits, [e for _, e in good])


def _run(batch: Batch, environment: Environment, programs: list[Program]) -> list[Evaluation]:
    dimensions = len(environment.axes)
    return [sound(e, dimensions) for e in batch.execute([(7, program) for program in programs])]


def _findings(check: str, problems: list[str]) -> Iterator[Finding]:
    if not problems:
        yield Finding("ok", check)
    for problem in problems[:_SHOWN]:
        yield Finding("FAIL", check, problem)
    if len(problems) > _SHOWN:
        yield Finding("FAIL", check, f"and {len(problems) - _SHOWN} more like these")


def _out_of_range(environment: Environment, found: Evaluation) -> Iterator[str]:
    yield from _out_of_bounds(environment, found)
    assert found.descriptor is not None  # of a sound evaluation
    for axis, value in zip(environment.axes, found.descriptor, strict=True):
        if not axis.low <= value <= axis.high:
            yield f"{axis.name} is {value:g}, outside of {axis.low:g}..{axis.high:g}"


def _out_of_bounds(environment: Environment, found: Evaluation) -> Iterator[str]:
    worst, best = environment.objective.f_min, environment.objective.f_max
    fitness = math.nan if found.fitness is None else found.fitness
    if not fitness >= worst:
        yield f"fitness is {fitness:g}, below f_min={worst:g}, which is to be the worst there is"
    if best is not None and fitness > best:
        yield f"fitness is {fitness:g}, above f_max={best:g}"


def _differences(environment: Environment, one: Evaluation, two: Evaluation) -> Iterator[str]:
    fields = ["status", "fitness", "artifact", "behaviour"]
    if environment.reproducible:  # else time or memory may stand in these
        fields += ["descriptor", "metrics", "scores"]
    for field in fields:
        before, after = getattr(one, field), getattr(two, field)
        if before != after:
            yield f"{field} was {str(before)[:60]}, then {str(after)[:60]}"


def _random(batch: Batch, environment: Environment) -> Iterator[Finding]:
    try:
        programs = [environment.random_program(random.Random(n)) for n in range(_RANDOM)]
        again = [environment.random_program(random.Random(n)) for n in range(_RANDOM)]
    except LookupError:
        return
    check = "random programs"
    if programs != again:
        yield Finding("FAIL", check, "random_program() gives another one for the same generator")
        return
    found = _run(batch, environment, programs)
    bad = [e for e in found if e.status is Status.JUDGE_ERROR]
    if bad:
        yield Finding("FAIL", check, f"{bad[0].status}: {bad[0].detail}")
    elif not any(e.status is Status.OK for e in found):
        yield Finding(
            "FAIL", check, f"none of {_RANDOM} runs ({found[0].status}: {found[0].detail})"
        )
    else:
        yield Finding("ok", check)


def _broken(batch: Batch, environment: Environment, seed: Program) -> Iterator[Finding]:
    """A program that is none may fail in any way but by breaking the judge."""
    name = environment.prompt.file if environment.prompt is not None else next(iter(seed.files))
    if name not in seed.files:
        return
    programs = [Program({**seed.files, name: text}) for text in _BROKEN]
    problems, passed = [], []
    for text, found in zip(_BROKEN, _run(batch, environment, programs), strict=True):
        if found.status is Status.JUDGE_ERROR:
            problems.append(f"{text!r} as {name}: {found.status}: {found.detail}")
        elif found.status is Status.OK:
            passed.append(f"{text!r}")
    yield from _findings("programs that are none", problems)
    if passed:
        yield Finding("note", "programs that are none", f"{', '.join(passed)} counts as a program")


def _artifacts(
    environment: Environment, limits: Mapping[str, Any] | None, good: list[Evaluation]
) -> Iterator[Finding]:
    """The judge in its own jail, with a producer that hands it whatever is wanted."""
    bundle = build_bundle(environment, limits)
    if bundle.judge is None or bundle.scoring is Scoring.CALLS:
        return
    subjects = [*PLAIN, *(v for e in good[:1] for v in spoiled(e.artifact))]
    programs = [(7, Program({"artifact": _document(bundle, value)})) for value in subjects]
    problems = []
    with Batch(environment, _LOCAL, bundle=_with_producer(bundle)) as batch:
        for value, found in zip(subjects, batch.execute(programs), strict=True):
            shown = json.dumps(value)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            if found.status is Status.OK:
                problems += [f"{shown}: {p}" for p in _out_of_bounds(environment, found)]
            elif found.status not in _REFUSED:
                problems.append(
                    f"{shown}: {found.status}: {found.detail} (a judge raises BadArtifact for what "
                    "it cannot score)"
                )
    yield from _findings("bad artifacts are refused", problems)


def _document(bundle: Bundle, value: Any) -> str:
    if bundle.scoring is Scoring.INSIDE:
        value = {"fitness": 0.0, "descriptor": [], "artifact": value}
    return json.dumps(value)


def _with_producer(bundle: Bundle) -> Bundle:
    name = "checkup_producer"
    return msgspec.structs.replace(
        bundle, producer=Code(name, {name: _PRODUCER}), producer_settings={}, preload=()
    )
