"""Tokens per second of our batched generation against plain `model.generate`.

Both sides complete the default run's own prompts, drawn while a small search goes on, in the same
batches, with the same sampling settings and the same stop rule, and count tokens up to the stop
only. Plain generation runs in float32 and in the type that ours uses; the ratio is taken against
the faster of the two. Repetitions are interleaved, so that a busy machine burdens all alike.

    python -m benchmarks.generation [--small] [--blocks N] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml

from benchmarks.search import Bench, Search
from elm.models import Completion, Request, build
from elm.models.causal import CausalModel
from elm.variation.prompt import PromptOperator
from environments.sodarace.environment import Sodarace

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def settings(group: str, name: str) -> dict[str, Any]:
    """The default settings of one configuration group."""
    return yaml.safe_load((CONFIGS / group / f"{name}.yaml").read_text())


class Plain:
    """`model.generate` with a stopping criterion for each row, behind the interface of ours."""

    active_parameters = None

    def __init__(self, ours: CausalModel, model: Any, tokenizer: Any, dtype: Any) -> None:
        self.name = f"generate {str(dtype).removeprefix('torch.')}"
        self._words, self._room, self._how = ours.words, ours.room, ours.sampling
        self._model, self._tokenizer = model.to(dtype), tokenizer

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList

        words = self._words
        prompts = [
            words.encode(r.prompt[: r.shared]) + words.encode(r.prompt[r.shared :])
            for r in requests
        ]
        longest = max(map(len, prompts))
        tokens = torch.zeros(len(prompts), longest, dtype=torch.int64)
        mask = torch.zeros_like(tokens)
        for i, prompt in enumerate(prompts):
            tokens[i, longest - len(prompt) :] = torch.tensor(prompt)
            mask[i, longest - len(prompt) :] = 1

        def finished(row: torch.Tensor, request: Request) -> bool:
            written = row[longest:].tolist()
            if not written or not words.ends_line(written[-1]):
                return False
            return request.stop is not None and request.stop(words.decode(written)) is not None

        class Stops(StoppingCriteria):
            def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
                rows = zip(input_ids, requests, strict=True)
                return torch.tensor([finished(row, request) for row, request in rows])

        torch.manual_seed(requests[0].seed % 2**63)
        how = self._how
        output = self._model.generate(
            input_ids=tokens,
            attention_mask=mask,
            do_sample=True,
            temperature=how.temperature,
            top_p=how.top_p,
            top_k=how.top_k,
            max_new_tokens=self._room,
            stopping_criteria=StoppingCriteriaList([Stops()]),
            pad_token_id=self._tokenizer.pad_token_id,
        )
        done = []
        for row, request, prompt in zip(output, requests, prompts, strict=True):
            written = row[longest:].tolist()
            ends = [i for i, token in enumerate(written) if token in words.ends]
            written = written[: ends[0]] if ends else written
            text = words.decode(written)
            end = request.stop(text) if request.stop else None
            count = len(written) if end is None else words.cut(written, end)
            reason = "length" if end is None and not ends else "stop"
            done.append(
                Completion(
                    text=text[:end],
                    prompt_tokens=len(prompt),
                    completion_tokens=count,
                    finish_reason=reason,
                )
            )
        return done

    def close(self) -> None:
        del self._model


def measure(blocks: int, size: int, seed: int) -> dict[str, Any]:
    """Runs all sides on the same orders; our children are those that the search goes on with."""
    import torch

    from elm.models.loading import base_model

    chosen = settings("model", "smollm2")
    variation = settings("variation", "prompt")
    variation.pop("name")
    ours = build(chosen)
    assert isinstance(ours, CausalModel)
    models: dict[str, Any] = {"ours": ours}
    for dtype in dict.fromkeys([torch.float32, getattr(torch, ours.dtype)]):
        model, tokenizer = base_model(chosen["name"])
        plain = Plain(ours, model, tokenizer, dtype)
        models[plain.name] = plain
    environment = Sodarace()
    bench = Bench(environment)
    operators = {
        name: PromptOperator(environment, model, **variation) for name, model in models.items()
    }
    searches = {name: Search(environment, bench, seed) for name in models}
    spent = dict.fromkeys(models, 0.0)
    warm = searches["ours"].orders(-1, size, operators["ours"])
    for name, operator in operators.items():  # kernels are built on their first use
        operator.propose(warm[: size if name == "ours" else 2])
    for block in range(blocks):
        orders = searches["ours"].orders(block, size, operators["ours"])
        for name, operator in operators.items():
            seconds, proposals = _timed(lambda op=operator, o=orders: op.propose(o))
            spent[name] += seconds
            searches[name].commit(proposals)
    bench.close()
    sides = {}
    for name, search in searches.items():
        tokens = sum(p.attempts[0].completion_tokens for p, _ in search.children)
        count = len(search.children)
        sides[name] = {
            "completions": count,
            "tokens": tokens,
            "seconds": round(spent[name], 2),
            "tokens_per_second": round(tokens / spent[name], 1),
            "runnable": round(search.runnable / count, 3),
            "distinct_runnable": round(search.distinct / count, 3),
        }
    plain_best = max(side["tokens_per_second"] for n, side in sides.items() if n != "ours")
    return {
        "benchmark": "generation",
        "batch": size,
        "siblings": operators["ours"].siblings,
        "threads": ours.threads,
        "dtype": ours.dtype,
        "sides": sides,
        "ratio": round(sides["ours"]["tokens_per_second"] / plain_best, 2),
        "ratio_to_float32": round(
            sides["ours"]["tokens_per_second"] / sides["generate float32"]["tokens_per_second"],
            2,
        ),
    }


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    result = work()
    return time.perf_counter() - began, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="one block of 16, for CI")
    parser.add_argument("--blocks", type=int, default=4)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    blocks, size = (1, 16) if given.small else (given.blocks, given.batch)
    result = measure(blocks, size, given.seed)
    print(json.dumps(result, indent=1))
    if given.small:
        assert result["ratio"] >= 1.3, f"only {result['ratio']} times plain generation"


if __name__ == "__main__":
    main()
