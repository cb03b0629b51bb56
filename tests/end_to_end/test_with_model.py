"""The main job with the real language model."""

import pytest

pytest.importorskip("torch")

SMALL = ("budget.evaluations=20", "budget.model_calls=null", "seed=1", "report=false")


@pytest.mark.slow
def test_the_model_evolves_walkers_and_the_archive_depends_on_the_seed_alone(elm):
    elm(*SMALL, "run_name=one", "dispatch.slots=1")
    one = elm.summary("one")
    assert one["model"] == "smollm2" and one["environment"] == "sodarace"
    assert one["evaluations"] == 20 and one["model_calls"] >= 16
    assert one["runnable_fraction"] > 0.1
    assert one["cells_by_children"] >= 2
    computed = one["prompt_tokens"] - one["cached_tokens"] + one["completion_tokens"]
    assert one["completion_tokens"] > 0 and one["flops"] == 2 * 134_515_008 * computed
    elm(*SMALL, "run_name=two", "dispatch.slots=2")
    assert elm.summary("two")["archive_sha256"] == one["archive_sha256"]
