"""A function and its score as text: what is read, what travels, what is refused."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest
import yaml

from environments.artifact import BadArtifact
from environments.base import Outcome, Program
from environments.inline.environment import Inline
from environments.inline.judge import judge
from environments.inline.producer import prepare, produce

CONFIG = Path(__file__).parents[2] / "configs" / "environment" / "inline.yaml"


def inline(source="def f(x):\n    return x\n", score="def score(y):\n    return y[0]\n", **more):
    return Inline(**{"source": source, "entry": "f", "score": score, "inputs": ["1"]} | more)


def made(environment, source=None):
    files = environment.seeds()[0].program.files if source is None else {"f.py": source}
    return produce(files, environment.producer_settings())


def scored(environment, outputs):
    return judge({"outputs": outputs}, environment.judge_settings())


def test_the_config_holds_every_setting_with_its_default():
    config = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["environment"]
    assert config.pop("name") == "inline"
    parameters = inspect.signature(Inline).parameters
    assert list(config) == list(parameters)
    for key, value in config.items():
        default = parameters[key].default
        assert value == ("???" if default is inspect.Parameter.empty else default) or (
            value == [] and default == ()
        )


@pytest.mark.parametrize(
    ("source", "opening", "text"),
    [
        ("def f(x): return x", "def f(x):", "def f(x):\n    return x\n"),
        ("@elm.keep\ndef f(x):\n    return x\n", "def f(x):", "def f(x):\n    return x\n"),
        ("    def f(x):\n        return x\n", "def f(x):", "def f(x):\n    return x\n"),
        (
            "def f(\n    x: dict[str, int],  # a: b\n    y=lambda: 0,\n) -> int:\n    return 1\n",
            "def f(\n    x: dict[str, int],  # a: b\n    y=lambda: 0,\n) -> int:",
            None,
        ),
        ("import math\n\ndef f(x):\n    return x\n", "import math\n\ndef f(x):", None),
    ],
)
def test_openings_are_the_text_up_to_the_body(source, opening, text):
    environment = inline(source)
    (seed,) = environment.seeds()
    assert environment.prompt.opening == opening
    assert seed.program.source == (text or source)
    assert seed.program.source.startswith(opening)


def test_outputs_become_plain_data():
    source = (
        "import numpy as np\ndef f(kind):\n"
        "    values = [np.arange(3), np.float64(0.5), np.int32(7), np.bool_(True), (1, (2, 'x')),\n"
        "              {'a': (None,)}, True, 10**30]\n"
        "    return values[kind]\n"
    )
    environment = inline(source, inputs=[str(n) for n in range(8)])
    outputs = made(environment)["outputs"]
    assert outputs == [[0, 1, 2], 0.5, 7, True, [1, [2, "x"]], {"a": [None]}, True, 10**30]
    assert json.loads(json.dumps(outputs)) == outputs
    assert environment.preload == ("numpy",)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return {1: 2}", "keys must be strings, got int"),
        ("return {1, 2}", "plain data, got set"),
        ("return object()", "plain data, got object"),
        ("return f", "plain data, got function"),
        ("y = []\n    y.append(y)\n    return y", "nested over 32 deep"),
    ],
)
def test_what_is_no_plain_data_is_refused(body, said):
    with pytest.raises(ValueError, match=said):
        made(inline(), f"def f(x):\n    {body}\n")


def test_programs_cannot_change_the_arguments_or_names_of_others():
    environment = inline(
        "def f(x):\n    x.append(9)\n    return x\n", inputs=["[1]", "[1]"], preamble="LIMIT = 3"
    )
    assert made(environment) == {"outputs": [[1, 9], [1, 9]]}
    assert made(environment, "LIMIT = 8\ndef f(x):\n    return LIMIT\n") == {"outputs": [8, 8]}
    assert made(environment, "def f(x):\n    return LIMIT\n") == {"outputs": [3, 3]}


def test_a_preamble_that_fails_is_known_before_any_program():
    with pytest.raises(ZeroDivisionError):
        prepare(inline(preamble="1 / 0").producer_settings())


@pytest.mark.parametrize(
    "artifact", [None, [], {}, {"outputs": 1}, {"outputs": []}, {"outputs": [1, 2]},
                 {"outputs": [1], "more": 1}],
)  # fmt: skip
def test_artifacts_of_another_shape_are_called_bad(artifact):
    with pytest.raises(BadArtifact):
        judge(artifact, inline().judge_settings())


@pytest.mark.parametrize("value", ["'1'", "None", "[1]", "float('inf')", "10**400", "{}", "1j"])
def test_scores_that_are_no_numbers_are_called_bad(value):
    with pytest.raises(BadArtifact) as error:
        scored(inline(score=f"def score(y):\n    return {value}\n"), [1])
    assert "\n" not in str(error.value) and len(str(error.value)) < 200


def test_a_mapping_gives_fitness_and_metrics():
    score = "def score(y):\n    return {'score': y[0], 'size': 3, 'even': True}\n"
    found = scored(inline(score=score), [2])
    assert found["fitness"] == 2.0 and found["metrics"] == {"size": 3.0, "even": 1.0}
    assert found["behaviour"] != scored(inline(score=score), [3])["behaviour"]


def test_the_descriptor_comes_from_text_and_metrics():
    environment = inline(descriptors={"size": [0, 9, 3], "names": [0, 30, 5]})
    outcome = Outcome(fitness=1.0, descriptor=(), metrics={"size": 4.0})
    program = Program({"f.py": "def f(x):\n    return x\n"})
    assert environment.conclude(program, [outcome]).descriptor == (4.0, 2.0)
    with pytest.raises(BadArtifact, match="gave no 'size'"):
        environment.conclude(program, [Outcome(fitness=1.0, descriptor=())])


def test_limits_of_axes_leave_a_large_function_room():
    small, large = inline(), inline("def f(x):\n" + "    x = x * 2 + 1\n" * 60 + "    return x\n")
    assert [a.high for a in small.axes] == [200.0, 30.0]
    assert large.axes[0].high >= 1000.0
    assert [a.cells for a in small.axes] == [a.cells for a in large.axes]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"source": "def g(x):\n    return x"}, "environment.source defines no function 'f'"),
        ({"source": "def f(x):\n    return ="}, "environment.source, line 2: invalid syntax"),
        ({"source": "def f(x):\n    pass\ndef f(x):\n    pass"}, "2 times a function 'f'"),
        ({"source": "async def f(x):\n    pass"}, "is async"),
        ({"source": "def f(x, *, y):\n    pass"}, "keyword arguments without a default"),
        ({"score": "score = 1"}, "environment.score defines no function 'score'"),
        ({"score": "def score():\n    return 1"}, "takes the outputs"),
        ({"preamble": "import"}, "environment.preamble, line 1"),
        ({"preamble": "import no_such_thing"}, "'no_such_thing' is not installed here"),
        ({"inputs": ["x + 1"]}, "environment.inputs[0]: expected the text of a Python literal"),
        ({"inputs": ["1", "(1, 2)"]}, "environment.inputs[1]: f(x) cannot be called with 2"),
        ({"f_min": float("inf")}, "f_min must be a finite number"),
        ({"f_max": 0.0}, "f_max must be above f_min=0"),
    ],
)
def test_wrong_settings_are_one_line(settings, said):
    with pytest.raises(ValueError) as error:
        inline(**settings)
    assert said in str(error.value) and "\n" not in str(error.value)
