"""A program's function alone, for a specification that runs elsewhere. Runs inside the jail.

What is here of the specification are its imports, and what its own function uses; neither its
inputs nor whatever else it does with answers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from environments.specification import producer
from environments.specification.wire import pack, unpack

prepare = producer.prepare


def produce(files: dict[str, str], settings: dict[str, Any]) -> Callable[..., Any]:
    """The evolved function, which takes and gives what can travel.

    Raises:
        ValueError: if the program lacks it.
        Exception: whatever the program raises.
    """
    function = producer.function_of(producer.skeleton_of(settings), files, settings)

    def answer(arguments: Any, keywords: Any) -> Any:
        return pack(function(*unpack(arguments), **unpack(keywords)))

    return answer
