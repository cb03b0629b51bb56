"""What a genome is, which producer and judge agree on: a list of numbers, one per dimension."""

from __future__ import annotations

MIN_DIMENSIONS = 2
MAX_DIMENSIONS = 1000
MAX_SIZE = 1e6  # of a coordinate; the domain is [-1, 1]


def read_vector(value: object, dimensions: int) -> list[float]:
    """A vector of finite numbers, as floats.

    Raises:
        ValueError: if it is anything else, with the first reason.
    """
    if not isinstance(value, list):
        raise ValueError(f"a vector must be a list of numbers, got {type(value).__name__}")
    if len(value) != dimensions:
        raise ValueError(f"the vector must have {dimensions} numbers, got {len(value)}")
    for number in value:
        if type(number) is not int and type(number) is not float:
            raise ValueError(f"a vector holds numbers only, got {type(number).__name__}")
        if not -MAX_SIZE <= number <= MAX_SIZE:  # NaN fails this too
            raise ValueError(f"a vector's numbers must be between {-MAX_SIZE:g} and {MAX_SIZE:g}")
    return [float(number) for number in value]
