"""Who may import whom, seen in fresh interpreters."""

import json
import subprocess
import sys

import pytest

HEAVY = {
    "torch",
    "transformers",
    "accelerate",
    "flask",
    "hydra",
    "matplotlib",
    "Box2D",
    "jinja2",
} | {"openai", "litellm", "peft"}


def loaded_by(module):
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    names = json.loads(done.stdout)
    return {name.partition(".")[0] for name in names}, set(names)


@pytest.mark.parametrize(
    "module", ["sandbox.protocol", "environments.base", "environments.construct"]
)
def test_the_ground_floor_imports_nothing_of_ours(module):
    packages, names = loaded_by(module)
    ours = {name for name in names if name.partition(".")[0] in ("elm", "sandbox", "environments")}
    assert ours == {module.partition(".")[0], module}
    assert not packages & HEAVY


@pytest.mark.parametrize(
    "module", ["sandbox.slot", "sandbox.worker", "sandbox.doctor", "sandbox.node"]
)
def test_the_sandbox_knows_no_search(module):
    packages, _ = loaded_by(module)
    assert "elm" not in packages
    assert not packages & HEAVY


@pytest.mark.parametrize(
    "module",
    [
        "elm",
        "elm.launch",
        "elm.models",
        "elm.models.endpoint",
        "elm.variation",
        "elm.report",
        "elm.cli",
        "elm.dispatch",
        "elm.sampler",
        "elm.api.evolve",
        "elm.api.loop",
        "elm.checkup.execution",
        "elm.commands.check_environment",
    ],
)
def test_the_search_loads_heavy_things_only_when_it_needs_them(module):
    packages, names = loaded_by(module)
    assert not packages & HEAVY
    assert not {name for name in names if name.startswith("sandbox.")} - {"sandbox.protocol"}
    concrete = {name for name in names if name.startswith("environments.")}
    abstract = {
        "environments.base",
        "environments.construct",
        "environments.artifact",
        "environments.parsing",
    }
    assert concrete <= abstract, "the search knows no environment by name"
