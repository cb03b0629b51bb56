"""Holds an environment against its contract, and says line by line what is wrong.

For tests of your own:

    from elm.checkup import check

    def test_it_keeps_to_the_contract():
        assert not [finding for finding in check(MyEnvironment()) if finding.failed]
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator, Mapping
from typing import Any

from elm.checkup import declared
from elm.checkup.bundles import bundles
from elm.checkup.finding import Finding
from environments.base import Environment

__all__ = ["Finding", "check"]

_CHECKS = {
    "axes": declared.axes,
    "objective": declared.objective,
    "settings are plain": declared.settings,
    "seeds parse": declared.seeds,
    "prompt fits the seeds": declared.prompt,
    "producer and judge are apart": bundles,
}


def check(
    environment: Environment, limits: Mapping[str, Any] | None = None, *, execute: bool = True
) -> Iterator[Finding]:
    """Findings, as they are made; the cheap checks come first.

    Args:
        limits: of one execution, where they differ from the environment's.
        execute: start a sandbox here and run seeds, broken programs and bad artifacts in it. Only
            done where nothing failed before.
    """
    failed = False
    for name, function in _CHECKS.items():
        try:
            problems = list(function(environment))
        except Exception as error:  # whatever the code of somebody else raises is a finding
            problems = [described(error)]
        failed = failed or bool(problems)
        if not problems:
            yield Finding("ok", name)
        for problem in problems:
            yield Finding("FAIL", name, problem)
    for warning in environment.warnings:
        yield Finding("note", "settings", warning)
    if not execute:
        return
    if failed:
        yield Finding("note", "sandbox", "nothing was executed, because of the failures above")
        return
    from elm.checkup.execution import execution

    yield from execution(environment, limits)


def described(error: BaseException) -> str:
    """An exception in one line, with the file and line where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {' '.join(str(error).split())}{place}"
