"""Runs a specification, and asks a program in another process for what its function says.

The program sees the arguments of its function and nothing else, so what the entry returns is the
specification's own word: no score can be forged, and none has to be checked.
"""

from __future__ import annotations

import random
import sys
from typing import Any

from environments.artifact import BadArtifact
from environments.specification import producer
from environments.specification.answers import MOST_SHOWN, read
from environments.specification.wire import pack, unpack

MOST_MESSAGE = 200

prepare = producer.prepare


def judge(ask: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Scores by input number; fitness and descriptor are left to whoever joins them.

    Raises:
        BadArtifact: if the entry raises, or returns what is no answer: an answer of the program
            was not what it works with.
    """
    loaded = producer.skeleton_of(settings)
    refused: list[ValueError] = []

    def function(*arguments: Any, **keywords: Any) -> Any:
        (answer,) = ask([[pack(list(arguments)), pack(keywords)]])
        try:
            return unpack(answer)
        except ValueError as error:
            refused.append(error)  # whatever the entry makes of it
            raise

    setattr(loaded.module, settings["evolve"], function)
    _begin_anew()
    entry = getattr(loaded.module, settings["entry"])
    answers = []
    for number, params in enumerate(loaded.inputs):
        name = f"{settings['entry']}({settings['inputs'][number][:MOST_SHOWN]})"
        try:
            answers.append({"input": number, **read(entry(params), name, False)})
        except Exception as error:
            reason = " ".join(str(error).split())[:MOST_MESSAGE]
            raise BadArtifact(f"{name}: {type(error).__name__}: {reason}") from None
        if refused:
            raise BadArtifact(f"{name}: {refused[0]}")
    return producer.claim(answers)


def _begin_anew() -> None:
    """A score is a function of the program alone, also where the entry draws random numbers."""
    random.seed(0)
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)
