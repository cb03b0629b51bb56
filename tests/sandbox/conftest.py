"""Slots of every level that this machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from slot_bench import Bench, make_bundle

from sandbox.slot import SandboxError, Slot


@pytest.fixture(scope="session")
def levels() -> tuple[str, ...]:
    """The levels that this machine supports."""
    found = []
    for level in ("L1", "L2", "L3"):
        slot = Slot(make_bundle(), level=level)
        try:
            slot.start()
        except SandboxError:
            continue
        slot.close()
        found.append(level)
    return tuple(found)


@pytest.fixture(scope="module", params=["L1", "L2", "L3"])
def bench(request: pytest.FixtureRequest, levels: tuple[str, ...]) -> Iterator[Bench]:
    """One slot for all tests of a module, at each level."""
    if request.param not in levels:
        pytest.skip(f"no {request.param} on this machine")
    slot = Slot(make_bundle(), level=request.param, node="bench", index=2)
    yield Bench(slot)
    slot.close()


@pytest.fixture
def make_slot() -> Iterator[Callable[..., Slot]]:
    """Slots with settings of their own, closed at the end."""
    made: list[Slot] = []

    def make(level: str = "auto", **changes: object) -> Slot:
        made.append(Slot(make_bundle(**changes), level=level))
        return made[-1]

    yield make
    for slot in made:
        slot.close()
