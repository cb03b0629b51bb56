"""Folders: what is read of them, what is refused before a run, and what slots make of them."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import pytest
import yaml

from elm.build import build_bundle, build_environment
from elm.config import ConfigError
from elm.dispatch.portions import outcome_of
from environments.artifact import BadArtifact
from environments.base import Program
from environments.folder.environment import Folder
from environments.folder.judge import judge
from environments.folder.metrics import findings
from sandbox.protocol import Status, Task
from sandbox.slot import Slot

PROGRAM = """\
SCALE = 2

# EVOLVE-BLOCK-START
def value(x):
    return SCALE * x + 1
# EVOLVE-BLOCK-END
"""
LOAD = """\
import importlib.util

def load(path):
    spec = importlib.util.spec_from_file_location("program", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

"""
EVALUATOR = LOAD + "def evaluate(path):\n    return {'combined_score': load(path).value(3)}\n"


@pytest.fixture
def folder(tmp_path):
    """Writes a folder; a file that is None is left out."""

    def write(evaluator=EVALUATOR, **files):
        texts = {"initial_program.py": PROGRAM, "evaluator.py": evaluator}
        texts |= {name.replace("__", "/").replace("_py", ".py"): t for name, t in files.items()}
        if "config" in texts:
            texts["config.yaml"] = yaml.safe_dump(texts.pop("config"))
        home = tmp_path / "folder"
        for name, text in texts.items():
            if text is not None:
                (home / name).parent.mkdir(parents=True, exist_ok=True)
                data = text if isinstance(text, bytes) else text.encode()
                (home / name).write_bytes(data)
        return str(home)

    return write


@pytest.fixture
def evaluate():
    """Executes the first program of an environment in a slot, and concludes."""
    slots = []

    def run(env, program=None, level="auto", **limits):
        bundle = build_bundle(env, limits)
        slot = Slot(bundle, level=level)
        slots.append(slot)
        slot.start()
        program = program or env.seeds()[0].program
        found = slot.evaluate(Task(1, bundle.digest, program.files, 7))
        if found.status is not Status.OK:
            return found, None
        return found, env.conclude(program, [outcome_of(found)])

    yield run
    for slot in slots:
        slot.close()


def test_a_plain_evaluator(folder, evaluate):
    env = Folder(folder())
    found, concluded = evaluate(env)
    assert concluded.fitness == 7.0 and concluded.metrics == {"combined_score": 7.0}
    assert found.verified is False
    assert [axis.name for axis in env.axes] == ["code_length", "tree_size"]
    for axis, value in zip(env.axes, concluded.descriptor, strict=True):
        assert axis.low < value < axis.high / 3  # room for larger programs
    assert (env.prompt.file, env.prompt.entry) == ("initial_program.py", "value")
    assert env.prompt.opening == "def value(x):"
    assert env.reproducible is True
    assert "solve() in the program" in " ".join(env.warnings)


def test_what_evaluators_may_return(folder, evaluate):
    evaluator = """
import numpy as np
from openevolve.evaluation_result import EvaluationResult

async def evaluate(path):
    import asyncio
    await asyncio.sleep(0)
    metrics = {"combined_score": np.float64(2.5), "ok": np.bool_(True), "n": np.int64(3),
               "why": "words", "below": {"a": 1, "b": [1]}}
    return EvaluationResult(metrics=metrics, artifacts={"log": b"bytes", "long": "t" * 9999})
"""
    found, concluded = evaluate(Folder(folder(evaluator)))
    assert concluded.metrics == {"combined_score": 2.5, "ok": 1.0, "n": 3.0, "below_a": 1.0}
    texts = found.artifact["texts"]
    assert (texts["why"], texts["log"], texts["below_b"]) == ("words", "bytes", "[1]")
    assert len(texts["long"]) == 4000
    assert concluded.detail.startswith("why: words; below_b: [1]; log: bytes")
    assert len(concluded.detail) == 300


@pytest.mark.parametrize(
    ("result", "metrics"),
    [
        (3, {"score": 3.0}),
        ({"metrics": {"a": 1}, "artifacts": {"b": "c"}}, {"a": 1.0}),
        ({"a": True, "b": None}, {"a": 1.0}),
        ({1: 2.0}, {"1": 2.0}),
    ],
)
def test_shapes_of_results(result, metrics):
    assert findings(result).metrics == metrics


@pytest.mark.parametrize("result", [None, "text", [1], {"metrics": 3}.items()])
def test_results_that_are_none(result):
    with pytest.raises(TypeError, match="must return a mapping of metrics"):
        findings(result)


@pytest.mark.parametrize("bad", ["float('nan')", "float('inf')", "10**400"])
def test_a_metric_that_is_not_finite_is_refused_by_name(folder, evaluate, bad):
    env = Folder(folder(f"def evaluate(path):\n    return {{'a': 1, 'second': {bad}}}\n"))
    with pytest.raises(BadArtifact, match=r"metric 'second' is (nan|inf)"):
        evaluate(env)


STAGES = """
def evaluate_stage1(path):
    return {"combined_score": %s, "first": 1.0}

def evaluate_stage2(path):
    %s
    return {"combined_score": 0.9, "second": 2.0}

async def evaluate_stage3(path):
    return {"third": 3.0}
"""


@pytest.mark.parametrize(
    ("first", "second", "config", "expected", "stage"),
    [
        (0.2, "pass", {}, {"combined_score": 0.2, "first": 1.0}, 1),
        (0.7, "pass", {}, {"combined_score": 0.9, "first": 1.0, "second": 2.0, "third": 3.0}, 3),
        (0.7, "pass", {"cascade_thresholds": [0.1, 0.95]},
         {"combined_score": 0.9, "first": 1.0, "second": 2.0}, 2),
        (0.7, "pass", {"cascade_thresholds": [0.1]},
         {"combined_score": 0.9, "first": 1.0, "second": 2.0}, 2),
        (0.7, "1 / 0", {}, {"combined_score": 0.7, "first": 1.0, "stage2_passed": 0.0}, 1),
    ],
)  # fmt: skip
def test_stages(folder, evaluate, first, second, config, expected, stage):
    path = folder(STAGES % (first, second), config={"evaluator": config})
    found, concluded = evaluate(Folder(path))
    assert concluded.metrics == expected
    assert concluded.fitness == expected["combined_score"]
    assert found.artifact["stage"] == stage
    if "stage2_passed" in expected:
        assert "ZeroDivisionError" in found.artifact["texts"]["stage2_error"]


def test_stages_can_be_left_out(folder, evaluate):
    config = {"evaluator": {"cascade_evaluation": False}}
    text = STAGES % (0.9, "pass") + "def evaluate(path):\n    return {'combined_score': 5}\n"
    assert evaluate(Folder(folder(text, config=config)))[1].fitness == 5.0


def test_an_evaluator_that_writes_its_results(folder, evaluate):
    """As ShinkaEvolve's do, with its names of files."""
    text = (
        LOAD
        + """
import json, pathlib

def main(program_path: str, results_dir: str):
    home, score = pathlib.Path(results_dir), load(program_path).value(1)
    metrics = {"combined_score": score, "public": {"n": 1}, "private": {}}
    (home / "metrics.json").write_text(json.dumps(metrics))
    verdict = {"correct": score > 0, "error": "" if score > 0 else "below zero"}
    (home / "correct.json").write_text(json.dumps(verdict))
"""
    )
    path = folder(evaluator_py=None, evaluate_py=text, initial_program_py=None, initial_py=PROGRAM)
    env = Folder(path)
    assert evaluate(env)[1].metrics == {"combined_score": 3.0, "public_n": 1.0}
    wrong = Program({"initial.py": "def value(x):\n    return -1\n"})
    with pytest.raises(BadArtifact, match="calls it wrong: below zero"):
        evaluate(env, wrong)


SOLVE = "# EVOLVE-BLOCK-START\ndef solve():\n    return [3, 1, 2]\n# EVOLVE-BLOCK-END\n"
SCORE = """
import numpy as np
from secret.answers import ANSWER

def score(solution):
    if len(solution) != 3:
        raise ValueError("expected 3 numbers")
    return {"combined_score": float(np.sum(np.array(solution) == ANSWER)), "first": solution[0]}
"""


def test_solutions_are_scored_apart_from_programs(folder, evaluate):
    answers = {"secret__answers_py": "ANSWER = [3, 9, 2]\n", "helper_py": "THREE = 3\n"}
    path = folder(SCORE, initial_program_py=SOLVE, **answers, **{"data.txt": "words"})
    env = Folder(path)
    settings = json.dumps(env.producer_settings())
    assert "ANSWER" not in settings and "def score" not in settings and "data.txt" in settings
    found, concluded = evaluate(env)
    assert found.verified is True
    assert (concluded.fitness, concluded.metrics["first"]) == (2.0, 3.0)
    assert found.artifact == {"solution": [3, 1, 2]}
    spy = "import os\ndef solve():\n    return sorted(os.listdir('.'))\n"
    seen = evaluate(env, Program({"initial_program.py": spy}))[0]
    assert (seen.status, seen.detail) == (
        Status.BAD_RESULT,
        "score: ValueError: expected 3 numbers",
    )
    one = Program({"initial_program.py": "def solve():\n    return {1, 2}\n"})
    assert "must return plain data, got set" in evaluate(env, one)[0].detail
    forged = {"fitness": 9.0, "descriptor": []}
    with pytest.raises(BadArtifact, match="solution"):
        judge(forged, env.judge_settings())


def test_a_file_of_its_own_may_hold_score(folder, evaluate):
    text = "def score(solution):\n    return len(solution)\n"
    env = Folder(folder(initial_program_py=SOLVE, score_py=text))
    found, concluded = evaluate(env)
    assert found.verified is True and concluded.fitness == 3.0


def test_programs_of_several_files(folder, evaluate):
    main = "from parts.helper import double\nfrom fixed import ONE\n\n" + PROGRAM.replace(
        "SCALE * x", "double(x)"
    ).replace("+ 1", "+ ONE")
    helper = "# EVOLVE-BLOCK-START\ndef double(x):\n    return x + x\n# EVOLVE-BLOCK-END\n"
    files = {
        "initial_program__main_py": main,
        "initial_program__parts__helper_py": helper,
        "initial_program__fixed_py": "ONE = 1\n",
        "initial_program_py": None,
    }
    env = Folder(folder(**files))
    program = env.seeds()[0].program
    assert list(program.files) == ["main.py", "parts/helper.py"]  # what marks nothing is fixed
    assert evaluate(env)[1].fitness == 7.0
    child = program.files | {"parts/helper.py": "def double(x):\n    return 10 * x\n"}
    assert evaluate(env, Program(child))[1].fitness == 31.0
    more = evaluate(env, Program(child | {"../evaluator.py": ""}))[0]
    assert (more.status, "must be those of the first" in more.detail) == (
        Status.RUNTIME_ERROR, True,
    )  # fmt: skip


def test_files_that_evolve_together_by_name(folder, evaluate):
    plain = PROGRAM.replace("# EVOLVE-BLOCK-START\n", "").replace("# EVOLVE-BLOCK-END\n", "")
    path = folder(initial_program_py=None, b_py="from a import A\n" + plain, a_py="A = 1\n")
    env = Folder(path, program=["b.py", "a.py"])
    assert list(env.seeds()[0].program.files) == ["b.py", "a.py"]
    assert evaluate(env)[1].fitness == 7.0


def test_files_beside_the_evaluator(folder, evaluate):
    text = """
import os, pathlib, tempfile

def evaluate(path):
    here = pathlib.Path(__file__).parent
    rows = (here / "data" / "rows.bin").read_bytes()
    (here / "log.txt").write_text("written beside itself")
    with tempfile.NamedTemporaryFile() as file:
        file.write(rows)
    return {"combined_score": len(rows) + len(open("data/rows.bin", "rb").read())}
"""
    files = {"data__rows.bin": bytes(range(256)), "big.png": b"x" * 9_000_000,
             "__pycache____old.pyc": b"", ".git__config": "", "venv__pyvenv.cfg": ""}  # fmt: skip
    env = Folder(folder(text, **files), without=["*.png"])
    sent = env.producer_settings()["files"]
    assert sorted(sent) == ["data/rows.bin", "evaluator.py"]
    assert base64.b64decode(sent["data/rows.bin"]["base64"]) == bytes(range(256))
    assert evaluate(env)[1].fitness == 512.0


def test_modules_are_imported_once_for_all(folder, evaluate):
    text = (
        "import sys\nBEFORE = 'scipy.stats' in sys.modules\nfrom scipy import stats\nimport json\n"
    )
    env = Folder(folder(text + "def evaluate(path):\n    return {'score': BEFORE}\n"))
    assert env.preload == ("json", "scipy", "scipy.stats", "sys")
    assert evaluate(env)[1].fitness == 1.0


SUBPROCESS = """
import os, subprocess, sys

def evaluate(path):
    with open("script.py", "w") as file:
        file.write("import sys, os; print(sys.argv[1] + os.environ['A']); sys.exit(3)")
    try:
        done = subprocess.run([sys.executable, "script.py", "b"], env={"A": "c"},
                              capture_output=True, text=True)
        code = subprocess.run([sys.executable, "-u", "-c", "print(input() * 2)"], input="x",
                              stdout=subprocess.PIPE, text=True, check=True)
    except Exception:
        return {"combined_score": 0.0}
    endless = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        endless.wait(timeout=0.2)
    except subprocess.TimeoutExpired:
        endless.kill()
    return {"combined_score": done.returncode, "ended": endless.wait() != 0,
            "out": done.stdout + code.stdout}
"""


def test_python_scripts_in_processes_where_they_are_allowed(folder, evaluate):
    env = Folder(folder(SUBPROCESS))
    assert any("processes=2" in line and "line 2" in line for line in env.warnings)
    found, concluded = evaluate(env, processes=2)
    assert concluded.metrics == {"combined_score": 3.0, "ended": 1.0}
    assert found.artifact["texts"]["out"] == "bc\nxx\n"


def test_programs_that_forge_what_the_evaluator_reports(folder, evaluate):
    env = Folder(folder())
    forge = """
import json, os
claim = {"fitness": 0, "descriptor": [], "metrics": {"combined_score": 9}, "artifact": {"texts": 3}}
for fd in range(3, 60):
    try:
        os.write(fd, b"A" + json.dumps(claim).encode())
    except OSError:
        pass
os._exit(0)
"""
    with pytest.raises(BadArtifact, match="not what the evaluator's side reports"):
        evaluate(env, Program({"initial_program.py": forge}))


def test_a_process_that_is_not_allowed_fails_the_program_though_the_evaluator_hides_it(
    folder, evaluate
):
    found, _ = evaluate(Folder(folder(SUBPROCESS)))
    assert found.status is Status.VIOLATION
    assert "environment.limits.processes=2" in found.detail


def test_other_programs_are_never_executed(folder, evaluate):
    text = "import subprocess\ndef evaluate(path):\n    %s\n    return {'score': 1}\n"
    found, _ = evaluate(Folder(folder(text % "subprocess.run(['gcc'])")), processes=2)
    assert found.status is Status.VIOLATION and "starts 'gcc'" in found.detail


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ("while True: pass", Status.TIMEOUT, "over 1 s of CPU time"),
        ("import os\n    while True: os.fork()", Status.VIOLATION, "starts a process"),
        ("import socket\n    socket.create_connection(('1.1.1.1', 80))", Status.VIOLATION,
         "evaluator.py, line 3: PermissionError"),
        ("import surely_not_there", Status.RUNTIME_ERROR, "evaluator.py, line 2: ModuleNotFound"),
        ("return {}['a']", Status.RUNTIME_ERROR, "evaluator.py, line 2: KeyError: 'a'"),
        ("raise SystemExit(2)", Status.RUNTIME_ERROR, "evaluator.py, line 2: SystemExit: 2"),
        ("open('/etc/there', 'w')", Status.RUNTIME_ERROR, "Read-only file system"),
        ("return None", Status.RUNTIME_ERROR, "must return a mapping"),
        ("return {'x': bytearray(10**10)}", Status.MEMORY, "MemoryError"),
        ("for _ in range(99999): print('x' * 99)", Status.RUNTIME_ERROR, "must return a mapping"),
        ("import multiprocessing\n    multiprocessing.Queue()", None, "no shared memory"),
    ],
)  # fmt: skip
def test_evaluators_that_misbehave_are_counted_failures(folder, evaluate, body, status, detail):
    config = {"evaluator": {"timeout": 1}}
    found, _ = evaluate(Folder(folder(f"def evaluate(path):\n    {body}\n", config=config)))
    if status is not None or found.status is not Status.OK:  # some jails have what others lack
        assert (status is None or found.status is status) and detail in found.detail, found


def test_at_lower_levels_of_jail(folder, evaluate):
    for level in ("L2", "L1"):
        assert evaluate(Folder(folder()), level=level)[1].fitness == 7.0


def build(path, **settings):
    return build_environment({"name": "folder", "path": path, **settings})


@pytest.mark.parametrize(
    ("files", "settings", "said"),
    [
        ({"evaluator_py": None}, {}, "holds no evaluator.py or evaluate.py"),
        ({"initial_program_py": None}, {}, "holds no initial_program.py; name the first program"),
        ({"evaluator_py": "def evaluate(:\n"}, {}, "evaluator.py, line 1: "),
        ({"initial_program_py": "x = 1\ny = = 2\n"}, {}, "initial_program.py, line 2: "),
        ({"evaluator_py": "\nimport surely_not_there as s\n" + EVALUATOR}, {},
         "evaluator.py, line 2: module 'surely_not_there' is not installed: pip install"),
        ({"initial_program_py": "import surely_not_there.x\n"}, {}, "initial_program.py, line 1: "),
        ({"helper_py": "import surely_not_there\n", "evaluator_py": "import helper\n" + EVALUATOR},
         {}, "helper.py, line 1: module 'surely_not_there'"),
        ({"evaluator_py": "def other(path): ...\n"}, {}, "defines no evaluate(program_path)"),
        ({"evaluator_py": "def score(x): ...\n"}, {}, "initial_program.py defines no solve()"),
        ({"initial_program_py": "# EVOLVE-BLOCK-START\nx = 1\n"}, {},
         "initial_program.py, line 1: EVOLVE-BLOCK-START without an end"),
        ({"initial_program_py": "x = 1\n# EVOLVE-BLOCK-END\n"}, {}, "line 2: EVOLVE-BLOCK-END"),
        ({"config.yaml": "a: [\n"}, {}, "environment.config: config.yaml: "),
        ({"config": {"evaluator": {"timeout": "long"}}}, {}, "config.yaml: evaluator.timeout: "),
        ({"config": {"evaluator": {"timeout": -1}}}, {}, "evaluator.timeout must be above 0"),
        ({"config": ["a"]}, {}, "config.yaml: expected a mapping, got list"),
        ({"big.bin": b"x" * 9_000_000}, {}, "big.bin 9.0 MB; leave out"),
        ({"initial_program_py": b"\xff"}, {}, "initial_program.py: not UTF-8"),
        ({}, {"evaluator": "../evaluator.py"}, "environment.evaluator: expected the name"),
        ({}, {"evaluator": "judge.py"}, "holds no file 'judge.py'"),
        ({}, {"initial": "other.py"}, "environment.initial: "),
        ({}, {"initial": "evaluator.py"}, "evaluator.py is a file of the program"),
        ({}, {"program": ["a.py"]}, "environment.program: "),
        ({"a.txt": ""}, {"program": ["initial_program.py", "a.txt"]}, "only Python files"),
        ({"a.txt": ""}, {"evaluator": "a.txt"}, "environment.evaluator: only Python files"),
        ({"a.txt": ""}, {"initial": "a.txt"}, "environment.initial: only Python files"),
        ({}, {"entry": "other"}, "environment.entry: initial_program.py defines no 'other'"),
        ({}, {"config": "other.yaml"}, "environment.config: "),
        ({}, {"fitness": ""}, "environment.fitness: expected the name"),
        ({}, {"descriptors": {"a": [0, 1]}}, "environment.descriptors.a: expected [low, high, "),
        ({}, {"descriptors": {"a": [1, 0, 5]}}, "environment.descriptors.a: low must be below"),
        ({}, {"descriptors": {"a": [0, 1, 0.5]}}, "environment.descriptors.a: cells must be"),
        ({}, {"descriptors": {"a": [0, 1, 9999], "b": [0, 1, 9999]}}, "1000000 cells"),
        ({}, {"evaluater": "x"}, "environment.evaluater: unknown setting"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_before_the_run(folder, files, settings, said):
    with pytest.raises(ConfigError) as error:
        build(folder(**files), **settings)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_no_folder(tmp_path):
    with pytest.raises(ConfigError, match=r"^environment\.path: name the folder"):
        build(None)
    with pytest.raises(ConfigError, match="no such folder"):
        build(str(tmp_path / "none"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="no folder"):
        build(str(tmp_path / "file"))


def test_what_may_be_missing_is_no_error(folder):
    text = "try:\n    import surely_not_there\nexcept ImportError:\n    pass\n"
    text += "if False:\n    import surely_not_there\n"
    assert "surely_not_there" not in build(folder(text + EVALUATOR)).preload


def test_configurations(folder):
    config = {
        "max_iterations": 50,
        "diff_based_evolution": True,
        "llm": {"primary_model": "m", "temperature": 1},
        "prompt": {"system_message": " Make it larger.\n"},
        "database": {
            "feature_dimensions": ["complexity", "names", "speed"],
            "feature_bins": 8,
            "num_islands": 3,
        },
        "evaluator": {"timeout": 33, "parallel_evaluations": 4},
    }
    env = build(folder(config=config))
    assert env.prompt.instruction == "Make it larger."
    assert [(axis.name, axis.cells) for axis in env.axes] == [("code_length", 8), ("names", 8)]
    assert env.limits()["cpu_seconds"] == 33.0
    said = "\n".join(env.warnings)
    assert "config.yaml: max_iterations is a matter of the run; say budget.evaluations=50" in said
    assert (
        "config.yaml: these keys mean nothing here: llm, database.num_islands, "
        "diff_based_evolution, evaluator.parallel_evaluations"
    ) in said
    assert "'speed', which is left out" in said
    assert build(folder(config=config), config="").limits()["cpu_seconds"] == 60.0


def test_what_an_evaluator_needs_and_cannot_have_is_said_before_the_run(folder):
    text = "import json\nimport urllib.request\ndef evaluate(path):\n    import requests\n"
    said = "\n".join(build(folder(text)).warnings)
    assert "evaluator.py, line 2: imports urllib.request: nothing in a sandbox reaches" in said


def test_metrics_as_fitness_and_descriptors(folder, evaluate):
    text = "import time\ndef evaluate(path):\n    return {'loss': 2, 'speed': 3, 'error': 9}\n"
    axes = {"speed": [0, 10, 5], "code_length": [0, 500, 10]}
    env = build(folder(text), fitness="-loss", f_min=-10.0, descriptors=axes)
    concluded = evaluate(env)[1]
    assert concluded.fitness == -2.0 and concluded.descriptor[0] == 3.0
    assert env.objective.f_min == -10.0
    assert env.reproducible is False and any("line 1: imports time" in w for w in env.warnings)
    mean = build(folder(text), descriptors=axes)
    assert evaluate(mean)[1].fitness == 2.0  # of what is neither a descriptor nor "error"
    assert any("the mean of all metrics" in line for line in mean.warnings)
    for settings, said in (
        ({"fitness": "gain"}, "no metric 'gain', which environment.fitness names; there are loss"),
        ({"descriptors": {"weight": [0, 1, 2]}}, "no metric 'weight', which environment.desc"),
    ):
        with pytest.raises(BadArtifact, match=said):
            evaluate(build(folder(text), **settings))


def test_limits_that_nobody_gives_are_the_same_each_time(folder):
    path = folder()
    assert Folder(path).axes == Folder(path).axes
    assert build_bundle(Folder(path)).digest == build_bundle(Folder(path)).digest


def test_programs_without_a_function(folder):
    env = Folder(folder(initial_program_py="class Model(dict):\n    x = 3\n"))
    assert (env.prompt.entry, env.prompt.opening) == ("Model", "class Model(dict):")
    assert any("rewrite and diff can vary" in line for line in env.warnings)
    env = Folder(folder(initial_program_py="X = 3\n"))
    assert env.prompt is None and any("no function and no class" in line for line in env.warnings)


def test_a_folder_is_never_read_for_a_stranger():
    assert "path" in Folder.paths


def test_reading_a_folder_imports_nothing_of_it(folder):
    path = folder("import scipy.stats\nraise SystemExit('executed')\n" + EVALUATOR)
    before = set(sys.modules)
    Folder(path)
    assert not {"scipy.stats", "evaluator"} & (set(sys.modules) - before)


def test_the_configuration_file_holds_every_setting_with_its_default():
    import configs

    path = Path(next(iter(configs.__path__))) / "environment/folder.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))["environment"]
    assert config.pop("name") == "folder" and config.pop("limits") == {"processes": 0}
    code = Folder.__init__.__code__
    defaults = [list(v) if isinstance(v, tuple) else v for v in Folder.__init__.__defaults__]
    assert config == dict(zip(code.co_varnames[1 : code.co_argcount], defaults, strict=True))


def test_other_contents_are_another_version(folder):
    path = folder()
    version = Folder(path=path).version
    assert Folder(path=path).version == version
    (Path(path) / "evaluator.py").write_text(EVALUATOR + "# another\n")
    assert Folder(path=path).version != version
