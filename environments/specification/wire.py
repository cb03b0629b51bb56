"""How arguments and answers of an evolved function travel between two processes, as JSON.

JSON knows neither tuples nor arrays, nor infinity. What stands for them here is a mapping of one
key; mappings themselves travel as lists of pairs.
"""

from __future__ import annotations

import math
import re
from typing import Any

MOST_DEPTH = 32
_NUMBERS = re.compile(r"[<>|=]?[biuf][1248]")  # dtypes of numpy


def pack(value: Any, depth: int = MOST_DEPTH) -> Any:
    """Plain JSON that stands for a value.

    Raises:
        TypeError: for a value that cannot travel, naming its type.
    """
    if depth == 0:
        raise TypeError(f"what is nested over {MOST_DEPTH} deep cannot travel between processes")
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return value
    if kind is float:
        return value if math.isfinite(value) else {"float": repr(value)}
    if kind is list:
        return [pack(item, depth - 1) for item in value]
    if kind in (tuple, set, frozenset):
        return {kind.__name__: [pack(item, depth - 1) for item in value]}
    if kind is dict:
        pairs = [[pack(key, depth - 1), pack(item, depth - 1)] for key, item in value.items()]
        return {"dict": pairs}
    dtype = str(getattr(getattr(value, "dtype", None), "str", ""))
    if kind.__module__ == "numpy" and _NUMBERS.fullmatch(dtype):
        if kind.__name__ == "ndarray":
            flat = [pack(item) for item in value.ravel().tolist()]
            return {"array": [dtype, list(value.shape), flat]}
        return pack(value.item())
    raise TypeError(f"a {kind.__name__} cannot travel between processes")


def unpack(value: Any) -> Any:
    """The value that plain JSON stands for, made anew.

    Raises:
        ValueError: for what `pack` does not write, in one line.
    """
    if type(value) is list:
        return [unpack(item) for item in value]
    if type(value) is not dict:
        return value
    if len(value) == 1:
        ((key, held),) = value.items()
        try:
            return _HELD[key](held)
        except (KeyError, TypeError, ValueError, OverflowError):
            pass
    raise ValueError("an answer that is not written as answers are")


def _float(held: Any) -> float:
    return {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}[held]


def _array(held: Any) -> Any:
    import numpy as np

    dtype, shape, flat = held
    if not _NUMBERS.fullmatch(dtype) or type(flat) is not list:
        raise ValueError(dtype)
    return np.array([unpack(item) for item in flat], dtype=dtype).reshape(shape)


def _pairs(held: Any) -> dict[Any, Any]:
    return {unpack(key): unpack(item) for key, item in held}


_HELD = {
    "float": _float,
    "tuple": lambda held: tuple(unpack(item) for item in held),
    "set": lambda held: {unpack(item) for item in held},
    "frozenset": lambda held: frozenset(unpack(item) for item in held),
    "dict": _pairs,
    "array": _array,
}
