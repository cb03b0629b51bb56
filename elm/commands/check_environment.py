"""`elm check-environment`: what is wrong with an environment or a specification, line by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from elm.build import build_environment
from elm.checkup import check
from elm.checkup.subject import section
from elm.config import ConfigError


def check_environment(target: str, assignments: Sequence[str]) -> int:
    """Prints one line for each check; returns how many failed.

    Args:
        target: see `elm.checkup.subject.subject`.
        assignments: settings of the environment, each as `key=value` with a value in YAML.

    Raises:
        ConfigError: for an assignment that is none, or a target that names nothing.
    """
    found = section(target, dict(map(_setting, assignments)))
    limits = found.get("limits")
    try:
        environment = build_environment(found)
    except ConfigError as error:
        print(f"FAIL  settings build: {error}", flush=True)
        return 1
    print("ok    settings build", flush=True)
    failures = 0
    for finding in check(environment, limits):
        print(finding, flush=True)
        failures += finding.failed
    return failures


def _setting(assignment: str) -> tuple[str, Any]:
    import yaml

    key, equals, value = assignment.partition("=")
    key = key.strip().removeprefix("environment.")
    if not (equals and key):
        raise ConfigError(f"--setting {assignment}: expected key=value")
    try:
        return key, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--setting {key}: {' '.join(str(error).split())}") from None
