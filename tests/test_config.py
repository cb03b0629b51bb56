"""Settings: what is wrong is named by its key, before anything is created."""

import pytest

from elm.config import ConfigError, check

GOOD = {
    "environment": {"name": "string"},
    "variation": {"name": "syntax_tree"},
    "budget": {"evaluations": 10},
}


def test_defaults():
    settings = check(GOOD)
    assert settings.model == {"kind": "none", "name": "none"}
    assert settings.budget.evaluations == 10 and settings.budget.seconds is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"budget": {"evaluations": 0}}, r"budget\.evaluations: expected int >= 1, got 0"),
        ({"budget": {"evaluations": "many"}}, r"budget\.evaluations: expected int.*got 'many'"),
        ({"budget": {"evaluations": 2.5}}, r"budget\.evaluations: .*got 2\.5"),
        ({"budget": {"seconds": 0}}, r"budget\.seconds: .*got 0"),
        ({"budget": {"evalutions": 3}}, r"budget\.evalutions: no such.*'evaluations'"),
        ({"budget": {}}, "budget: no limit is set"),
        ({"sede": 1}, "sede: no such setting, did you mean 'seed'"),
        ({"seed": -1}, "seed: expected int >= 0, got -1"),
        ({"batch_size": 0}, "batch_size: .*got 0"),
        ({"lookahead": -1}, "lookahead: .*got -1"),
        ({"view": "pretty"}, "view: .*'pretty'"),
        ({"environment": "string"}, "environment: expected .*, got 'string'"),
        ({"environment": {}}, r"environment\.name: expected a name"),
        ({"run_name": "../up"}, r"run_name: .*'\.\./up'"),
        ({"run_name": ""}, "run_name: "),
    ],
)
def test_what_is_wrong_is_named(change, said):
    with pytest.raises(ConfigError, match=said) as caught:
        check({**GOOD, **change})
    assert "\n" not in str(caught.value)


def test_a_missing_section_is_named():
    with pytest.raises(ConfigError, match="environment: missing"):
        check({"variation": {"name": "x"}, "budget": {"evaluations": 1}})
