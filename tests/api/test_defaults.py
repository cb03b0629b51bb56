"""Sections of `elm.run` against what the command line would have made of them."""

from __future__ import annotations

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import elm
from elm.api.defaults import complete
from elm.config import ConfigError, check
from elm.dispatch import DISPATCHERS
from elm.search import STRATEGIES
from elm.variation import OPERATORS

ROOT = Path(__file__).parents[2]
PARTS = {"search": STRATEGIES, "variation": OPERATORS, "dispatch": DISPATCHERS}


def resolved(*overrides: str) -> dict:
    """What `run_elm.py` would hand to `elm.run`."""
    command = [sys.executable, str(ROOT / "run_elm.py"), "--cfg", "job", "--resolve", *overrides]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize(
    ("overrides", "sections"),
    [
        (["environment=string"], {"environment": "string"}),
        ([], {}),
        (
            ["environment=image", "model=smollm2", "variation=prompt", "archive=cvt"],
            {"environment": "image", "model": "smollm2", "variation": "prompt", "archive": "cvt"},
        ),
        (["environment=optimisation"], {"environment": "optimisation"}),
    ],
)
def test_names_give_what_the_command_line_gives(overrides, sections):
    wanted, found = resolved(*overrides), complete(sections)
    for key in ("environment", "model", "variation", "budget"):
        assert found[key] == wanted[key], key
    for key in ("search", "archive", "dispatch"):  # where left out, the part's own defaults do
        assert found[key] == (wanted[key] if key in sections else {"name": wanted[key]["name"]})


def test_the_rest_of_the_settings_has_the_defaults_of_the_command_line():
    wanted = yaml.safe_load((ROOT / "configs" / "config.yaml").read_text(encoding="utf-8"))
    settings = check(complete({"environment": "string"}))
    for key in ("seed", "batch_size", "lookahead", "order", "run_dir", "resume", "report", "view"):
        assert getattr(settings, key) == wanted[key]


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group, names in PARTS.items() for name in names]
)
def test_files_hold_the_defaults_of_the_parts_they_name(group, name):
    """Hence a mapping that leaves settings out means what the file means."""
    path = ROOT / "configs" / group / f"{name}.yaml"
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    module, _, attribute = PARTS[group][name].partition(":")
    parameters = inspect.signature(getattr(importlib.import_module(module), attribute)).parameters
    assert settings.pop("name") == name
    for key, value in settings.items():
        default = parameters[key].default
        if default is inspect.Parameter.empty or (key, value) == ("siblings", None):
            continue  # must be given; as the operator likes
        default = list(default) if isinstance(default, tuple) else default
        assert (value or None) == (default or None), key


def test_mappings_stay_as_they_are():
    section = {"name": "string", "target": "x"}
    sections = {"environment": section, "variation": {"name": "syntax_tree"}, "model": None}
    found = complete({**sections, "budget": {"evaluations": 3}})
    assert found["environment"] == section
    assert found["variation"] == {"name": "syntax_tree"}
    assert found["budget"] == {"evaluations": 3}
    assert found["model"] == {"kind": "none", "name": "none"}


@pytest.mark.parametrize(
    ("variation", "model"),
    [
        ("syntax_tree", "none"),
        ("prompt", "smollm2"),
        ({"name": "gaussian"}, "none"),
        ({"name": "mixed", "operators": {"syntax_tree": {}, "random": {}}}, "none"),
        ({"name": "mixed", "operators": {"syntax_tree": {}, "rewrite": {}}}, "smollm2"),
        ("mixed", "smollm2"),
    ],
)
def test_no_model_is_chosen_for_an_operator_that_asks_none(variation, model):
    found = complete({"environment": "sodarace", "variation": variation})
    assert found["model"]["name"] == model


def test_a_model_takes_the_rest_from_the_file_of_its_name():
    found = complete({"environment": "string", "model": {"name": "smollm2", "threads": 1}})
    assert found["model"]["kind"] == "bundled" and found["model"]["threads"] == 1


def test_a_complete_configuration_is_not_added_to():
    config = {"environment": {"name": "string"}, "variation": {"name": "syntax_tree"}}
    assert complete(config, fill=False) == config


@pytest.mark.parametrize(
    ("sections", "said"),
    [
        ({"environment": "strng"}, "environment: no 'strng', did you mean 'string'?"),
        ({"environment": "string", "archive": "gird"}, "did you mean 'grid'?"),
        ({"environment": "string", "model": "openai"}, "model.name: this setting is needed"),
        ({"environment": "inline"}, "environment.source: this setting is needed"),
    ],
)
def test_mistakes_are_one_line(sections, said):
    with pytest.raises(ConfigError) as error:
        complete(sections)
    assert said in str(error.value) and "\n" not in str(error.value)


def test_a_run_by_names_equals_the_same_run_by_mappings(tmp_path):
    rest = {"budget": {"evaluations": 30}, "seed": 3, "view": "none", "report": False}
    named = elm.run(environment="string", run_dir=str(tmp_path), run_name="a", **rest)
    mapped = elm.run(
        {
            "environment": {"name": "string"},
            "variation": {"name": "syntax_tree"},
            "run_dir": str(tmp_path),
            "run_name": "b",
            **rest,
        }
    )
    assert named["archive_sha256"] == mapped["archive_sha256"]
    assert json.loads((tmp_path / "a" / "summary.json").read_text())["evaluations"] == 30
