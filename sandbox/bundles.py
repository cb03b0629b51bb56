"""Bundles that a sandbox makes by itself: for a plain script, and for an environment by name."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from environments.base import registry
from environments.construct import construct
from sandbox.protocol import Bundle, Code, Limits

# The program is executed as a script is; if it leaves a `result`, that is the artifact.
_PRODUCER = """
def produce(files, settings):
    (name, text), = files.items()
    namespace = {"__name__": "__main__", "__file__": name}
    exec(compile(text, name, "exec"), namespace)
    return namespace.get("result")
"""

_JUDGE = """
def judge(artifact, settings):
    return {"fitness": 0.0, "descriptor": []}
"""


def script_bundle(limits: Limits | None = None, preload: Sequence[str] = ()) -> Bundle:
    """Executes a program of one file as a script, and scores nothing."""
    return Bundle(
        environment="run",
        producer=Code("producer", {"producer": _PRODUCER}),
        judge=Code("judge", {"judge": _JUDGE}),
        preload=tuple(preload),
        limits=Limits() if limits is None else limits,
    )


def environment_bundle(name: str, settings: Mapping[str, Any]) -> Bundle:
    """What a slot needs of a registered environment.

    Raises:
        LookupError: if no environment of this name is installed.
        ValueError: for a wrong setting, in one line that names it.
    """
    choices = {key: point.value for key, point in registry().items()}
    if name not in choices:
        raise LookupError(name)
    if "name" in settings:
        raise ValueError(f"environment.name: unknown setting of {name!r}")
    for key in _paths(choices[name]):
        if settings.get(key) is not None:
            raise ValueError(
                f"environment.{key}: a server opens no files of its own for others; send the "
                "environment as a bundle"
            )
    environment = construct("environment", {"name": name, **settings}, choices)
    return msgspec.convert(environment.parts(), Bundle)


def _paths(point: str) -> Sequence[str]:
    """Settings of the environment at "module:class" that name files."""
    module, _, attribute = point.partition(":")
    paths: Sequence[str] = getattr(importlib.import_module(module), attribute).paths
    return paths
