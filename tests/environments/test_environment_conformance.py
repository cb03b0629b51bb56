"""What every environment must keep to. Installed ones of other packages are checked as well.

Those that cannot be built without settings go through `elm.checkup` alone (tests/api).
"""

from __future__ import annotations

import importlib
import json
import math
import random
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
import yaml

import configs
from elm.checkup import check
from elm.checkup.bundles import bundles
from environments.artifact import BadArtifact
from environments.base import Environment, read_modules, registry
from environments.function.environment import Function
from environments.image.environment import Image
from environments.optimisation.environment import Optimisation
from environments.parity.environment import Parity
from environments.puzzles.environment import Puzzles
from environments.sodarace.environment import Sodarace
from environments.string.environment import String

pytest.importorskip("Box2D")

PLAIN = (Sodarace, Image, Function, String, Parity, Puzzles, Optimisation)
OURS = {kind.name: kind for kind in PLAIN}
NEED_SETTINGS = {"folder", "inline", "specification"}
KINDS = {n: point.load() for n, point in registry().items() if n not in NEED_SETTINGS} | OURS
HUGE = "x" * 2_000_000
BAD = [None, [], {}, math.nan, math.inf, True, 10**400, "", "plain text\n", HUGE, [[0, 1]], [None],
       {"joints": None, "muscles": None}, {"joints": [], "muscles": []}, [math.nan] * 10,
       [[[0] * 3] * 32] * 32, [[1.0] * 10], ["1"] * 10, [1.0] * 9, "\ud800", [10**400] * 10,
       "A" * 4095, "A" * 4094 + "==", "?" * 4096, "A" * 4097]  # fmt: skip


@pytest.fixture(params=sorted(KINDS))
def env(request) -> Environment:
    return KINDS[request.param]()


def sides(env):
    producer = importlib.import_module(env.producer_modules[0])
    judge = importlib.import_module(env.judge_modules[0])
    return producer.produce, judge.judge


def check_scores(env, scores):
    assert set(scores) <= {"fitness", "descriptor", "metrics"}
    assert type(scores["fitness"]) is float and math.isfinite(scores["fitness"])
    assert scores["fitness"] >= env.objective.f_min
    assert env.objective.f_max is None or scores["fitness"] <= env.objective.f_max
    assert [type(value) for value in scores["descriptor"]] == [float] * len(env.axes)
    assert all(math.isfinite(value) for value in scores.get("metrics", {}).values())
    assert json.loads(json.dumps(scores)) == scores


def in_range(env, scores):
    pairs = zip(env.axes, scores["descriptor"], strict=True)
    return all(axis.low <= value <= axis.high for axis, value in pairs)


def test_seeds_score_in_range_and_the_same_every_time(env):
    produce, judge = sides(env)
    assert len({seed.name for seed in env.seeds()}) == len(env.seeds()) > 0
    for seed in env.seeds():
        artifact = produce(seed.program.files, env.producer_settings())
        assert produce(seed.program.files, env.producer_settings()) == artifact
        travelled = json.loads(json.dumps(artifact, allow_nan=False))
        assert travelled == artifact
        scores = judge(travelled, env.judge_settings())
        check_scores(env, scores)
        assert in_range(env, scores), (seed.name, scores)
        assert judge(travelled, env.judge_settings()) == scores


def test_what_it_declares_keeps_to_the_contract(env):
    """Axes, objective, settings, seeds, prompt, bundles: what `elm check-environment` reads."""
    findings = list(check(env, execute=False))
    assert len(findings) >= 6
    assert not [str(finding) for finding in findings if finding.failed]
    if env.prompt is not None:
        assert f"def {env.prompt.entry}(" in env.prompt.opening
        for seed in env.seeds():
            assert seed.program.files[env.prompt.file].startswith(env.prompt.opening)


def test_random_programs_are_reproducible_and_score(env):
    produce, judge = sides(env)
    inside, programs = 0, set()
    for number in range(20):
        program = env.random_program(random.Random(number))
        assert env.random_program(random.Random(number)) == program
        programs.add(json.dumps(program.files, sort_keys=True))
        artifact = produce(program.files, env.producer_settings())
        scores = judge(json.loads(json.dumps(artifact)), env.judge_settings())
        check_scores(env, scores)
        inside += in_range(env, scores)
    assert len(programs) == 20
    assert inside >= 18


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: repr(bad)[:30])
def test_bad_artifacts_are_called_bad(env, bad):
    _, judge = sides(env)
    if env.name == "string" and isinstance(bad, str) and len(bad) <= 1000 and bad.isprintable():
        # A text is a text; even the empty one has its score.
        check_scores(env, judge(bad, env.judge_settings()))
        return
    with pytest.raises(BadArtifact) as error:
        judge(bad, env.judge_settings())
    assert 0 < len(str(error.value)) < 200
    assert "\n" not in str(error.value)


def test_programs_that_are_none_raise(env):
    """A program may raise anything; what must not happen is that it passes."""
    produce, _ = sides(env)
    (name,) = env.seeds()[0].program.files
    for text in ("", "1 +", "null", "[]", "def f():\n    return 3\n", "raise SystemError"):
        with pytest.raises(Exception):  # noqa: B017
            produce({name: text}, env.producer_settings())


def test_producer_and_judge_never_meet(env):
    assert not list(bundles(env))
    assert "environments.artifact" in env.judge_modules
    assert "target" not in json.dumps(env.producer_settings())


LOADER = """
import json, sys, types

def package(name):
    if name and name not in sys.modules:
        package(name.rpartition(".")[0])
        module = sys.modules[name] = types.ModuleType(name)
        module.__path__ = []

class Finder:
    def __init__(self, sources):
        self.sources = sources
    def find_spec(self, name, path=None, target=None):
        import importlib.util
        if name in self.sources:
            return importlib.util.spec_from_loader(name, self)
    def create_module(self, spec):
        return None
    def exec_module(self, module):
        name = module.__name__
        exec(compile(self.sources[name], name, "exec"), module.__dict__)

call = json.load(sys.stdin)
assert not any(path in sys.path for path in ("", call["root"]))
for name in call["modules"]:
    package(name.rpartition(".")[0])
sys.meta_path.insert(0, Finder(call["modules"]))
__import__(call["entry"])
answer = getattr(sys.modules[call["entry"]], call["function"])(call["value"], call["settings"])
ours = sorted(name for name in sys.modules if name.startswith("environments."))
print(json.dumps({"answer": answer, "ours": ours}))
"""


def run_alone(entry, function, modules, value, settings):
    """Calls one side in a fresh interpreter that has nothing of ours but the bundle."""
    call = {"root": str(importlib.import_module("environments").__path__[0]), "entry": entry,
            "function": function, "modules": read_modules(modules), "value": value,
            "settings": settings}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOADER], input=json.dumps(call), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_bundles_load_alone(env):
    produce, judge = sides(env)
    files = env.seeds()[0].program.files
    made = run_alone(
        env.producer_modules[0], "produce", env.producer_modules, files, env.producer_settings()
    )
    assert made["answer"] == produce(files, env.producer_settings())
    packages = {name.rpartition(".")[0] for name in env.producer_modules}
    assert set(made["ours"]) <= set(env.producer_modules) | packages
    scored = run_alone(
        env.judge_modules[0], "judge", env.judge_modules, made["answer"], env.judge_settings()
    )
    assert scored["answer"] == judge(made["answer"], env.judge_settings())


def test_the_search_side_is_light(env):
    module = type(env).__module__
    probe = (
        f"import sys, importlib\nimportlib.import_module({module!r}).{type(env).__name__}()\n"
        "print(*sorted(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"torch", "flask", "Box2D", "transformers", "hydra", *env.judge_modules[:1]}


def test_axes_travel(env):
    assert msgspec.json.encode(env.axes)


def test_pictures_are_svg_or_none(env):
    produce, _ = sides(env)
    for seed in env.seeds():
        picture = env.render(produce(seed.program.files, env.producer_settings()))
        assert picture is None or (picture.startswith("<svg ") and picture.endswith("</svg>"))


@pytest.mark.parametrize("name", sorted(OURS))
def test_config_holds_every_setting_with_its_default(name):
    path = Path(next(iter(configs.__path__))) / "environment" / f"{name}.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    config = config.get("environment", config)  # some files also choose a model and an operator
    assert config.pop("name") == name
    kind = OURS[name]
    code = kind.__init__.__code__
    names = code.co_varnames[1 : code.co_argcount]
    defaults = kind.__init__.__defaults__
    plain = [list(value) if isinstance(value, tuple) else value for value in defaults]
    assert config == dict(zip(names, plain, strict=True))
    kind(**config)
