"""Hostile programs against whole jails, and against jails with one layer left out.

Each attack is followed by two good programs and a look at what is left of it. Without its layer
an attack has to get through: a layer that nothing depends on would be decoration.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from attacks import ATTACKS, SUBJECTS, ordinary
from attacks.attack import OTHER_LAYERS, Attack
from attacks.world import World, got_through

from sandbox.jail import LAYERS
from sandbox.slot import Slot

SETTINGS = ("L3 as root", "L3 as an ordinary user", "L2")
MakeWorld = Callable[..., World]


def title(attack: Attack) -> str:
    return f"{attack.subject}: {attack.name}"


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[MakeWorld]:
    """Worlds by their settings, each started once."""
    made: dict[tuple, World] = {}

    def make(level: str, processes: int = 0, without: tuple[str, ...] = ()) -> World:
        key = (level, processes, without)
        if key not in made:
            folder = tmp_path_factory.mktemp("world")
            made[key] = World(folder, level, processes=processes, without=without)
        return made[key]

    yield make
    for each in made.values():
        each.close()


@pytest.fixture(scope="module")
def ordinary_results(tmp_path_factory) -> Callable[[], dict[str, str]]:
    """What an ordinary user's run says of each attack; made once, when it is first asked for."""
    found: dict[str, str] = {}

    def results() -> dict[str, str]:
        if not found:
            found.update(ordinary.run("L3", tmp_path_factory.mktemp("ordinary")))
        return found

    return results


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("attack", ATTACKS, ids=title)
def test_attack_is_held(setting, attack, world, ordinary_results, levels):
    level, is_root = setting[:2], os.geteuid() == 0
    if level not in levels:
        pytest.skip(f"no {level} on this machine")
    if not attack.reaches(level):
        pytest.skip(f"{level} does not claim to stop this")
    if setting == "L3 as root" and not is_root:
        pytest.skip("needs root")
    if setting == "L3 as an ordinary user" and is_root:
        assert ordinary_results()[title(attack)] == ""
    else:
        world(level, attack.processes).hold(attack)


@pytest.mark.parametrize("attack", [a for a in ATTACKS if a.alone], ids=title)
def test_without_its_layer_it_gets_through(attack, world, levels):
    if attack.alone not in levels:
        pytest.skip(f"no {attack.alone} on this machine")
    weak = world(attack.alone, attack.processes, (attack.layer,))
    try:
        found = weak.attempt(attack)
        assert got_through(found), found
        assert found.level == "L0"
    finally:
        weak.restore()


def test_the_table_is_whole():
    names = [title(attack) for attack in ATTACKS]
    assert len(names) == len(set(names)) >= 120
    assert len({attack.source for attack in ATTACKS}) == len(ATTACKS)
    assert {attack.layer for attack in ATTACKS} == {*LAYERS, *OTHER_LAYERS}
    assert {attack.subject for attack in ATTACKS} == {s.subject.name for s in SUBJECTS}
    assert sum(attack.subject == "score forging" for attack in ATTACKS) >= 20
    alone = Counter(attack.layer for attack in ATTACKS if attack.alone)
    assert set(alone) == set(LAYERS)
    assert min(alone.values()) >= 4, alone


def test_layers_are_left_out_by_name_and_by_tests_only(world):
    bundle = world("L2").slot.bundle
    with pytest.raises(ValueError, match="no layer 'walls': expected rlimits, watcher"):
        Slot(bundle, without=("walls",))
    root = Path(sys.modules["sandbox"].__file__).parent.parent
    users = [
        path
        for package in ("sandbox", "elm", "configs", "environments")
        for path in (root / package).rglob("*.[py][ya]*")
        if path.suffix in (".py", ".yaml") and "without=(" in path.read_text()
    ]
    assert users == []
