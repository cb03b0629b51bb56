from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from elm.archive import CVTSpace, GridSpace, build
from environments.base import Axis

AXES = (Axis("x", 0.0, 1.0, 3), Axis("y", -1.0, 1.0, 2))
CONFIGS = Path(__file__).parents[2] / "configs" / "archive"


@pytest.mark.parametrize(("name", "kind"), [("grid", GridSpace), ("cvt", CVTSpace)])
def test_the_shipped_settings_build(name: str, kind: type) -> None:
    archive = build(yaml.safe_load((CONFIGS / f"{name}.yaml").read_text()), AXES, f_min=-3.0)
    assert isinstance(archive.space, kind)
    assert (archive.f_min, archive.depth, archive.policy) == (-3.0, 1, "reject")


def test_settings_arrive() -> None:
    settings = {"name": "cvt", "cells": 7, "samples": 100, "depth": 4, "out_of_range": "clip"}
    archive = build(settings, AXES, f_min=0.0)
    assert (archive.space.cells, archive.depth, archive.policy) == (7, 4, "clip")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "archive.name: unknown None, known: cvt, grid"),
        ({"name": "gird"}, "archive.name: unknown 'gird'.*did you mean 'grid'"),
        ({"name": "grid", "deth": 2}, "archive.deth: unknown setting.*did you mean 'depth'"),
        ({"name": "grid", "depth": 0}, "archive.depth: .*>= 1, got 0"),
        ({"name": "grid", "depth": "2"}, "archive.depth: expected `int`, got '2'"),
        ({"name": "grid", "out_of_range": "clp"}, "archive.out_of_range: .*did you mean 'clip'"),
        ({"name": "cvt", "cells": 9, "samples": 3}, "archive.samples: "),
    ],
)
def test_what_is_wrong_is_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(settings, AXES, f_min=0.0)
