"""Calls the program."""

from typing import Any


def produce(files: dict[str, str], settings: dict[str, Any]) -> float:
    namespace: dict[str, Any] = {}
    exec(files["value.py"], namespace)
    return float(namespace["value"]())
