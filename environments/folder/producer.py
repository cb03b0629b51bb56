"""Lets a folder's evaluator score a program. Runs inside the jail.

The evaluator loads the program itself, from its file, so both share this process: what comes of it
is a claim. Where the folder offers `score(solution)`, only the program is here, and the evaluator
is not; then the answer is the program's solution, for the judge.
"""

from __future__ import annotations

import asyncio
import base64
import errno
import importlib.util
import inspect
import json
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from environments.folder import evaluation_result, processes
from environments.folder.metrics import Findings, findings

RESULTS = "results"  # where evaluators of the style `main(program_path, results_dir)` write
MAX_DEPTH = 32

_contents: dict[str, bytes] = {}


def prepare(settings: dict[str, Any]) -> None:
    """Decodes the folder's files once for all programs of a slot."""
    _contents.clear()
    for name, data in settings["files"].items():
        _contents[name] = (
            data["text"].encode() if "text" in data else base64.b64decode(data["base64"])
        )
    sys.dont_write_bytecode = True
    package = ModuleType("openevolve")
    package.__path__ = []
    package.EvaluationResult = evaluation_result.EvaluationResult  # type: ignore[attr-defined]
    package.evaluation_result = evaluation_result  # type: ignore[attr-defined]
    sys.modules.setdefault("openevolve", package)
    sys.modules.setdefault("openevolve.evaluation_result", evaluation_result)


def produce(files: dict[str, str], settings: dict[str, Any]) -> dict[str, Any]:
    """Writes folder and program to the working folder, and asks evaluator or program.

    Returns:
        `{"solution": ...}` of plain data where the score is computed elsewhere. Else a claim whose
        fitness and descriptor say nothing: `Folder.conclude` takes both from its metrics.

    Raises:
        ValueError: if the program has a file that the first one has not, or lacks one.
        RuntimeError: what evaluator or program raised, with file and line.
        PermissionError: likewise, for what the jail forbids.
    """
    box = Path.cwd()
    if not _contents:
        prepare(settings)
    program = box / settings["place"]
    if files.keys() != set(settings["program"]):
        names = sorted(files.keys() ^ set(settings["program"]))
        raise ValueError(f"the program's files must be those of the first one: {', '.join(names)}")
    for home, contents in ((box, _contents), (program, {n: t.encode() for n, t in files.items()})):
        for name, data in contents.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(data)
    entry = program / settings["entry"]
    sys.path[:0] = list(dict.fromkeys([str((box / settings["evaluator"]).parent), str(program)]))
    processes.offer()
    try:
        if settings["style"] == "solve":
            module = _load(entry, "program")
            return {"solution": _plain(module.solve(), MAX_DEPTH)}
        found, stage, correct = _evaluate(box, entry, settings)
        if processes.refusals:
            raise PermissionError(processes.refusals[0])
        if processes.others:
            found.texts["sandbox"] = processes.others[0]
    except MemoryError:
        raise
    except (Exception, SystemExit) as error:
        raise _placed(error, box) from error
    return {
        "fitness": 0.0,
        "descriptor": [],
        "metrics": found.metrics,
        "artifact": {
            "texts": found.texts,
            "refused": found.refused,
            "stage": stage,
            "correct": correct,
        },
    }


def _load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _evaluate(
    box: Path, entry: Path, settings: Mapping[str, Any]
) -> tuple[Findings, int, dict[str, Any] | None]:
    """Findings, the last stage of a cascade (0: none), and a verdict of right or wrong if any."""
    path = box / settings["evaluator"]
    module = _load(path, path.stem)
    if settings["style"] == "main":
        return _main(module, entry, box / RESULTS)
    if settings["style"] == "stages":
        found, stage = _cascade(module, str(entry), settings["thresholds"])
        return found, stage, None
    return findings(_called(module.evaluate, str(entry))), 0, None


def _called(function: Callable[[str], Any], path: str) -> Any:
    result = function(path)
    if inspect.isawaitable(result):

        async def wait() -> Any:
            return await result

        return asyncio.run(wait())
    return result


def _main(
    module: ModuleType, entry: Path, results: Path
) -> tuple[Findings, int, dict[str, Any] | None]:
    """ShinkaEvolve's way: an evaluator that writes what it found to files."""
    results.mkdir()
    module.main(str(entry), str(results))
    if not (results / "metrics.json").exists():
        raise FileNotFoundError("main(program_path, results_dir) wrote no metrics.json")
    found = findings(json.loads((results / "metrics.json").read_text(encoding="utf-8")))
    verdict = results / "correct.json"
    correct = json.loads(verdict.read_text(encoding="utf-8")) if verdict.exists() else None
    if not isinstance(correct, dict):
        return found, 0, None
    error = str(correct.get("error") or "")[:200]
    return found, 0, {"correct": correct.get("correct") is True, "error": error}


def _cascade(module: ModuleType, path: str, thresholds: list[float]) -> tuple[Findings, int]:
    """Stage after stage, as long as each reaches its threshold.

    A later stage that raises ends the cascade, and what the ones before found counts.
    """
    found = findings(_called(module.evaluate_stage1, path))
    for stage in (2, 3):
        function = getattr(module, f"evaluate_stage{stage}", None)
        reached = len(thresholds) > stage - 2 and _passes(found.metrics, thresholds[stage - 2])
        if function is None or found.refused or not reached:
            return found, stage - 1
        try:
            more = findings(_called(function, path))
        except (MemoryError, PermissionError):
            raise
        except Exception as error:
            found.metrics[f"stage{stage}_passed"] = 0.0
            found.texts[f"stage{stage}_error"] = "".join(traceback.format_exception(error))[-2000:]
            return found, stage - 1
        found.metrics.update(more.metrics)
        found.texts.update(more.texts)
        found.refused.extend(more.refused)
    return found, 3


def _passes(metrics: Mapping[str, float], threshold: float) -> bool:
    """Whether the combined score, or else the mean of all metrics, reaches a threshold."""
    if "combined_score" in metrics:
        return metrics["combined_score"] >= threshold
    values = [value for name, value in metrics.items() if name != "error"]
    return bool(values) and sum(values) / len(values) >= threshold


def _placed(error: BaseException, box: Path) -> Exception:
    """The same failure with file and line, of a kind that tells what the jail forbade."""
    place = ""
    steps = traceback.extract_tb(error.__traceback__)
    for step in steps:
        if Path(step.filename).is_relative_to(box):
            place = f"{Path(step.filename).relative_to(box)}, line {step.lineno}: "
    if isinstance(error, SyntaxError) and error.filename:
        place = f"{Path(error.filename).name}, line {error.lineno}: "
    said = f"{place}{type(error).__name__}: {error}" if str(error) else place + type(error).__name__
    if any(Path(step.filename).name == "synchronize.py" for step in steps):
        said += " (a sandbox has no shared memory for the locks, queues and pools of processes)"
    if isinstance(error, PermissionError):
        return PermissionError(said)
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return MemoryError(said)
    return RuntimeError(said)


def _plain(value: Any, depth: int) -> Any:
    """A solution as JSON has it: arrays and tuples as lists, numpy's numbers as Python's."""
    if depth == 0:
        raise ValueError(f"a solution is nested over {MAX_DEPTH} deep")
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item, depth - 1) for item in value]
    if isinstance(value, dict):
        for key in value:
            if type(key) is not str:
                raise TypeError(f"a solution's keys must be strings, got {key!r}")
        return {key: _plain(item, depth - 1) for key, item in value.items()}
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise TypeError(f"solve() must return plain data, got {type(value).__name__}")
