"""The broken programs of the 4-parity test of the ELM paper.

After Lehman et al. ("Evolution through Large Models", 2022): the first four bugs each misname a
variable in the sum, in order; the fifth takes the remainder of the wrong number. They add up, so
one program per number of bugs is all there are.
"""

from __future__ import annotations

MOST = 5

_PROGRAM = '''\
def parity(b1, b2, b3, b4):
    """Return binary parity of a sequence of input bits. Return 0 for even, 1 for odd parity."""
    bit_sum = sum([{}, {}, {}, {}])
    return bit_sum % {}
'''
_RIGHT = ("b1", "b2", "b3", "b4", "2")
_WRONG = ("c1", "c2", "c3", "c4", "3")


def with_bugs(count: int) -> str:
    """The program with the first `count` of the five bugs; 0 for the one that is right.

    Raises:
        ValueError: if there are not so many.
    """
    if not 0 <= count <= MOST:
        raise ValueError(f"there are 0 to {MOST} bugs, got {count}")
    return _PROGRAM.format(*_WRONG[:count], *_RIGHT[count:])
