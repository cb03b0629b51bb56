"""The real model, from its weights to walkers that run."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")
pytest.importorskip("Box2D")


@pytest.mark.slow
def test_the_bundled_model_writes_walkers_that_run():
    from benchmarks.generation import settings
    from benchmarks.search import Bench, Search, run
    from elm.models import build
    from elm.variation.prompt import PromptOperator
    from environments.sodarace.environment import Sodarace

    model = build(settings("model", "smollm2"))
    assert model is not None and model.active_parameters == {"smollm2": 134_515_008}
    variation = settings("variation", "prompt")
    variation.pop("name")
    environment = Sodarace()
    bench = Bench(environment)
    search = Search(environment, bench, seed=1)
    run(search, PromptOperator(environment, model, **variation), 1, 16, lambda seconds: None)
    bench.close()
    model.close()
    assert len(search.children) == 16
    assert search.distinct >= 4
    assert all(proposal.attempts[0].prompt_tokens > 0 for proposal, _ in search.children)
