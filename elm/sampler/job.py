"""What a sampler builds, and from what: the same operator wherever it is."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING

import msgspec

from elm.sampler.messages import Job
from elm.sampler.rank import SamplerError
from elm.variation.base import Operator
from environments.base import Environment

if TYPE_CHECKING:
    from elm.config import Settings


class Workshop(msgspec.Struct, frozen=True):
    """An operator that can be put to work."""

    operator: Operator
    lanes: int  # parts that it may make at one time
    close: Callable[[], None]


Builder = Callable[[Job], Workshop]


def job_of(settings: Settings, environment: Environment) -> Job:
    """What samplers of this run are to build."""
    identity = settings.identity()
    identity["environment"] = {**identity["environment"], "version": environment.version}
    text = msgspec.json.encode(identity, order="deterministic", enc_hook=repr)
    return Job(
        environment=settings.environment,
        model=settings.model,
        variation=settings.variation,
        environment_version=str(environment.version),
        identity=hashlib.sha256(text + own_version().encode()).hexdigest(),
    )


def build(job: Job) -> Workshop:
    """Builds environment, model and operator of a job on this machine.

    Raises:
        SamplerError: if the environment here is of another version.
        ConfigError, ModelError, ValueError: if one of them cannot be had here, in one line.
    """
    import elm.models
    import elm.variation
    from elm.build import build_environment

    environment = build_environment(job.environment)
    if str(environment.version) != job.environment_version:
        raise SamplerError(
            f"environment {environment.name!r} is version {environment.version} here, but version "
            f"{job.environment_version} in the run: install the same on both sides"
        )
    model = elm.models.build(job.model)
    with contextlib.ExitStack() as stack:
        if model is not None:
            stack.callback(model.close)
        operator = elm.variation.build(job.variation, environment, model)
        return Workshop(operator, 1 if model is None else model.lanes, stack.pop_all().close)


def own_version() -> str:
    """Of this installation."""
    try:
        return version("elm")
    except PackageNotFoundError:  # from a folder, without an installation
        return "unknown"
