"""Reads a vector. Runs inside the jail like any producer, though there is nothing to execute."""

from __future__ import annotations

import json
from typing import Any

from environments.function.genome import read_vector

FILE = "vector.json"


def produce(files: dict[str, str], settings: dict[str, Any]) -> list[float]:
    """The vector in `vector.json`.

    Raises:
        ValueError: if it is no JSON list of as many finite numbers as there are dimensions.
    """
    return read_vector(json.loads(files[FILE]), settings["dimensions"])
