"""Which part of a program may evolve, and what brings a child back to its parent everywhere else.

A file says so itself, with comments `# EVOLVE-BLOCK-START` and `# EVOLVE-BLOCK-END` as in
AlphaEvolve and OpenEvolve, or with the decorator `@funsearch.evolve` as in FunSearch. Where it does
not, the environment's prompt says whether the function `entry` or the whole file evolves. What a
model writes elsewhere is never executed: the parent's text comes back, byte for byte.
"""

from elm.variation.regions.base import Enforced, RegionError
from elm.variation.regions.enforce import enforce, rule

__all__ = ["Enforced", "RegionError", "enforce", "rule"]
