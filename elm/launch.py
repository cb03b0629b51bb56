"""One run from its settings: builds the parts, joins them, and leaves a folder behind."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec
import yaml

import elm.archive
import elm.dispatch
import elm.models
import elm.sampler
import elm.sampler.rank
import elm.sampler.settings
import elm.search
import elm.variation
from elm.archive import Archive
from elm.build import build_bundle, build_environment
from elm.config import ConfigError, Settings, check
from elm.folder import RunFolder
from elm.journal import Journal
from elm.models.base import LanguageModel
from elm.pipeline import Ending, Pipeline, RunError
from elm.report.live import print_result, view
from elm.sampler import Samplers
from elm.sampler.job import job_of
from elm.sampler.messages import Job
from elm.sampler.rank import Rank
from elm.sampler.settings import SamplerSettings
from elm.variation.base import Operator
from elm.variation.regions import RegionError, rule
from environments.base import Environment, Prompt


def run(config: Mapping[str, Any] | None = None, /, **sections: Any) -> dict[str, Any]:
    """Runs an evolution to the end of its budget, and writes its folder.

    Args:
        config: nested plain mappings with the keys of `elm.config.Settings`; or give the keys as
            keyword arguments.

    Under a launcher that starts several processes, the first of them runs the evolution, and the
    others make children for it.

    Returns:
        What `summary.json` holds; "ending" says why the run ended, "folder" where it lies. In the
        other processes of a launcher: "rank", and "parts", what it made.

    Raises:
        ConfigError, RunError, FolderError, JournalError, FleetError, ModelError: each with one
            line that names the key or file and says what to do.
    """
    settings = check({**(config or {}), **sections})
    rank = elm.sampler.rank.current()
    if rank is not None:
        elm.sampler.rank.settle(rank)
        if rank.number > 0:
            return elm.sampler.serve_rank(settings, rank)
    _refuse_order(settings)
    environment = build_environment(settings.environment)
    bundle = build_bundle(environment, settings.environment.get("limits"))
    with _settings_errors():
        archive = elm.archive.build(settings.archive, environment.axes, environment.objective.f_min)
        dispatcher = elm.dispatch.build(settings.dispatch, environment)
        samplers = elm.sampler.settings.read(settings.samplers)
    name = settings.run_name or _default_name(settings)
    folder = RunFolder(Path(settings.run_dir) / name)
    folder.refuse_if_taken(resume=settings.resume)

    with contextlib.ExitStack() as stack:
        with _settings_errors():
            model = elm.models.build(settings.model)
        if model is not None:
            stack.callback(model.close)
        operator = _build_operator(settings, environment, model)
        _refuse_endless(settings, operator)
        _refuse_unpriced(settings, model)
        with _settings_errors():
            strategy = elm.search.build(
                settings.search, parents=operator.parents, siblings=operator.siblings
            )
        stack.callback(dispatcher.close)
        dispatcher.start(bundle)
        stack.callback(folder.close)
        folder.open(resume=settings.resume)
        journal = stack.enter_context(
            _open_journal(folder, settings, name, environment, archive, model)
        )
        resumed = sum(kind == "resume" for _, kind, _ in journal.events())
        observer = stack.enter_context(view(settings.view, name))
        for warning in environment.warnings:
            journal.write_event("warning", warning)
            observer.notice(warning)
        pipeline = Pipeline(
            seeds=[seed.program for seed in environment.seeds()],
            archive=archive,
            strategy=strategy,
            operator=operator,
            dispatcher=dispatcher,
            journal=journal,
            bundle=bundle.digest,
            budget=settings.budget,
            seed=settings.seed,
            batch_size=settings.batch_size,
            lookahead=settings.lookahead,
            order=settings.order,
            model=model,
            samplers=lambda clock: _open_samplers(
                settings, samplers, operator, model, clock, job_of(settings, environment), rank
            ),
            observer=observer,
        )
        with _stop_on_interrupt(pipeline):
            ending = pipeline.run()
        summary = _summary(
            settings,
            name,
            environment,
            "none" if model is None else model.name,
            model is None or model.reproducible,
            pipeline,
            ending,
            resumed,
            dispatcher.level,
            journal.nodes(),
        )
        folder.write_metrics(journal.commits())
        folder.write_elites(archive)
        folder.write_json("summary.json", summary)
    _write_report(settings, folder)
    if settings.view != "none":
        print_result(summary, folder.path)
    return summary | {"folder": str(folder.path)}


def _default_name(settings: Settings) -> str:
    now = datetime.now().strftime("%Y%m%d-%H%M%S")
    return f"{settings.environment['name']}-{settings.variation['name']}-{now}"


@contextlib.contextmanager
def _settings_errors() -> Iterator[None]:
    """Parts say ValueError for a setting that is wrong, with its key."""
    try:
        yield
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _build_operator(
    settings: Settings, environment: Environment, model: LanguageModel | None
) -> Operator:
    with _settings_errors():
        operator = elm.variation.build(settings.variation, environment, model)
    if operator.calls and environment.prompt is not None:
        _refuse_broken_markers(environment, environment.prompt)
    return operator


def _refuse_broken_markers(environment: Environment, prompt: Prompt) -> None:
    """Every child of a seed whose evolve regions are not closed would fail."""
    for seed in environment.seeds():
        try:
            text = seed.program.files.get(prompt.file, "")
            rule(text, entry=prompt.entry, evolve=prompt.evolve)
        except RegionError as error:
            raise ConfigError(
                f"environment.name={environment.name}: seed {seed.name!r}, file {prompt.file}: "
                f"{error}"
            ) from None


def _refuse_unpriced(settings: Settings, model: LanguageModel | None) -> None:
    """A budget in money that nobody can count ends no run."""
    if settings.budget.cost is not None and model is not None and not model.priced:
        raise ConfigError(
            f"budget.cost: nobody knows what {model.name} costs; set model.prices, or leave the "
            "budget out"
        )


def _refuse_order(settings: Settings) -> None:
    """Rows that join a batch as others leave it depend on who was faster."""
    sections = [settings.model, *settings.model.get("members", {}).values()]
    if settings.order == "committed" and any(s.get("engine") == "continuous" for s in sections):
        raise ConfigError(
            "model.engine: continuous batching makes no two runs alike, so it goes with "
            "order=arrival only; add that, or leave the engine out"
        )


def _open_samplers(
    settings: Settings,
    samplers: SamplerSettings,
    operator: Operator,
    model: LanguageModel | None,
    clock: Callable[[], float],
    job: Job,
    rank: Rank | None,
) -> Samplers:
    unit = (None if model is None else model.unit) or settings.batch_size
    parts = (1 + settings.lookahead) * math.ceil(settings.batch_size / unit)
    lanes = 1 if model is None else model.lanes
    return elm.sampler.open_samplers(samplers, operator, lanes, clock, job, rank, parts=parts)


def _refuse_endless(settings: Settings, operator: Operator) -> None:
    """Without a model, calls, tokens and cost never grow, and limit nothing."""
    budget = settings.budget
    if not operator.model_name and budget.evaluations is None and budget.seconds is None:
        raise ConfigError(
            f"budget: variation={operator.name} asks no model, so only budget.evaluations or "
            "budget.seconds can end this run; set one of them"
        )


def _open_journal(
    folder: RunFolder,
    settings: Settings,
    name: str,
    environment: Environment,
    archive: Archive,
    model: LanguageModel | None,
) -> Journal:
    """A new journal, or the one to resume after checking that it is of the same run."""
    identity = settings.identity()
    identity["environment"] = {**identity["environment"], "version": environment.version}
    if model is not None and model.fingerprint:
        identity["model"] = {**identity["model"], "fingerprint": model.fingerprint}
    if settings.resume:
        journal = Journal(folder.journal)
        journal.check()
        _refuse_other_run(folder, journal.meta()["config"], identity)
        journal.write_event("resume", f"resumed with elm {version('elm')}")
        return journal
    meta = {
        "run_name": name,
        "created": datetime.now().astimezone().isoformat(timespec="seconds"),
        "elm": version("elm"),
        "config": identity,
        "axes": [msgspec.to_builtins(axis) for axis in environment.axes],
        "objective": msgspec.to_builtins(environment.objective),
        "model_name": "" if model is None else model.name,
        "active_parameters": {} if model is None else dict(model.active_parameters),
    }
    folder.write_text("config.yaml", yaml.safe_dump(msgspec.to_builtins(settings)))
    return Journal.create(folder.journal, meta)


def _refuse_other_run(folder: RunFolder, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    before, after = dict(_flatten(was)), dict(_flatten(now))
    # Names first: another environment differs in most of its settings, which would tell less.
    for key in sorted(before.keys() | after.keys(), key=lambda k: (not k.endswith(".name"), k)):
        if before.get(key) != after.get(key):
            raise RunError(
                f"{folder.path}: this run was started with {key}={before.get(key)!r}, not "
                f"{after.get(key)!r}; resume it with its own settings (config.yaml there), or "
                "choose another run_name"
            )


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", list(value) if isinstance(value, tuple) else value


@contextlib.contextmanager
def _stop_on_interrupt(pipeline: Pipeline) -> Iterator[None]:
    """Ctrl-C once ends the run after its current block, twice ends it now."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def on_interrupt(signum: int, frame: FrameType | None) -> None:
        pipeline.stop()
        for s in (signal.SIGINT, signal.SIGTERM):
            signal.signal(s, signal.default_int_handler)

    before = [(s, signal.signal(s, on_interrupt)) for s in (signal.SIGINT, signal.SIGTERM)]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _summary(
    settings: Settings,
    name: str,
    environment: Environment,
    model_name: str,
    repeats: bool,
    pipeline: Pipeline,
    ending: Ending,
    resumed: int,
    level: str,
    nodes: Mapping[str, int],
) -> dict[str, Any]:
    archive, metrics = pipeline.archive, pipeline.metrics()
    by_children = {cell for cell, _, elite in archive.ranked() if elite.candidate.block > 0}
    return {
        "run_name": name,
        "ending": ending.value,
        "archive_sha256": archive.sha256(),
        "reproducible": (
            environment.reproducible
            and repeats
            and settings.order == "committed"
            and ending is not Ending.SECONDS
        ),
        "resumed": resumed,
        "seed": settings.seed,
        "environment": environment.name,
        "environment_version": environment.version,
        "model": model_name,
        "variation": settings.variation["name"],
        **metrics,
        **pipeline.shares,
        "samplers": pipeline.makers,
        "cells_by_children": len(by_children),
        "cells_total": archive.space.cells,
        "qd_offset": archive.f_min,
        "verified": all(e.evaluation.verified for e in archive.elites()),
        "sandbox_level": level,
        "nodes": dict(nodes),
        "wall_seconds": round(pipeline.clock(), 3),
        "model_busy_fraction": round(pipeline.busy_fraction, 4),
        "peak_memory_mb": round(pipeline.spent.peak_memory_mb, 1),
    }


def _write_report(settings: Settings, folder: RunFolder) -> None:
    """The report is a view of the run: what it lacks must not fail a run that is complete."""
    if not settings.report:
        return
    from elm.report.html import ReportError, write_report

    try:
        write_report(folder.path)
    except (ReportError, OSError) as error:
        print(f"no report: {error}")
