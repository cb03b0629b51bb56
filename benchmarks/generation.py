"""Tokens per second of our batched generation against plain `model.generate`.

All sides complete the default run's own prompts, drawn while a small search goes on, in the same
batches, with the same sampling settings and the same stop rule, and count tokens up to the stop
only. Plain generation runs in float32 and in the type that ours uses, each side in a process of
its own, with the threads' settings that it would have by itself; the ratio is taken against the
faster of the two. Blocks are interleaved, so that a busy machine burdens all alike. Ours also runs
in float32, and for more blocks than plain generation, to compare the shares of runnable programs.

    python -m benchmarks.generation [--small] [--blocks N] [--plain-blocks N] [--seed N]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from benchmarks.search import Bench, Search
from elm.candidate import Proposal
from elm.models import Completion, Request, build
from elm.variation import Order
from elm.variation.prompt import PromptOperator
from environments.sodarace.environment import Sodarace

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def settings(group: str, name: str) -> dict[str, Any]:
    """The default settings of one configuration group."""
    return yaml.safe_load((CONFIGS / group / f"{name}.yaml").read_text())


class Plain:
    """`model.generate` with a stopping criterion for each row, behind the interface of ours."""

    active_parameters = None

    def __init__(self, name: str, chosen: dict[str, Any], dtype: str) -> None:
        import torch

        from elm.models.decoding import Vocabulary
        from elm.models.loading import base_model
        from elm.models.sampling import Sampling

        torch.set_num_threads(chosen["threads"])
        model, self._tokenizer = base_model(chosen["name"])
        self.name, self._model = name, model.to(getattr(torch, dtype))
        self._words = Vocabulary(self._tokenizer, [model.generation_config.eos_token_id])
        self._room = chosen["max_new_tokens"]
        self._how = Sampling(
            temperature=chosen["temperature"], top_p=chosen["top_p"], top_k=chosen["top_k"]
        )

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        import torch
        from transformers import LogitsProcessor, StoppingCriteria, StoppingCriteriaList

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

        avoided = [words.encode(request.avoid) for request in requests]

        class Discourage(LogitsProcessor):
            """What ours does about copies, so that both sides write the same kind of text."""

            def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
                for i, (avoid, request) in enumerate(zip(avoided, requests, strict=True)):
                    written = input_ids[i, longest:].tolist()
                    if len(written) < len(avoid) and written == avoid[: len(written)]:
                        scores[i, avoid[len(written)]] -= request.penalty
                return scores

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
            logits_processor=[Discourage()],
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


def _serve(pipe: Any, name: str, chosen: dict[str, Any], variation: dict[str, Any]) -> None:
    """A side in its own process: orders in, seconds and proposals out."""
    kind, dtype = name.split()
    model: Any
    model = build(chosen | {"dtype": dtype}) if kind == "ours" else Plain(name, chosen, dtype)
    operator = PromptOperator(Sodarace(), model, **variation)
    while True:
        orders = pipe.recv()
        began = time.perf_counter()
        proposals = operator.propose(orders)
        pipe.send((time.perf_counter() - began, proposals))


class Side:
    """One way to generate, in a process of its own, and what came of it."""

    def __init__(self, name: str, chosen: dict[str, Any], variation: dict[str, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.name = name
        self._pipe, other = context.Pipe()
        arguments = (other, name, chosen, variation)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def propose(self, orders: Sequence[Order]) -> tuple[float, list[Proposal]]:
        self._pipe.send(list(orders))
        return self._pipe.recv()

    def close(self) -> None:
        self._process.kill()
        self._process.join()


class Pace:
    """Tokens and seconds of some blocks."""

    def __init__(self) -> None:
        self.tokens, self.seconds = 0, 0.0

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds


def measure(blocks: int, plain_blocks: int, size: int, seed: int) -> dict[str, Any]:
    """Runs all sides on the same orders; our children are those that the search goes on with."""
    import torch

    from elm.models.loading import choose_dtype

    chosen, variation = settings("model", "smollm2"), settings("variation", "prompt")
    variation.pop("name")
    own = str(choose_dtype(chosen["dtype"], torch.device("cpu"))).removeprefix("torch.")
    dtypes = list(dict.fromkeys([own, "float32"]))
    ours = f"ours {own}"
    names = [f"ours {d}" for d in dtypes] + [f"generate {d}" for d in dtypes]
    environment, sides = Sodarace(), {name: Side(name, chosen, variation) for name in names}
    bench = Bench(environment)
    searches = {name: Search(environment, bench, seed) for name in names}
    common, whole = {n: Pace() for n in names}, {n: Pace() for n in names}
    view = OrderView(variation["parents"], variation["siblings"])
    warm = searches[ours].orders(-1, size, view)
    for side in sides.values():  # kernels are built on their first use
        side.propose(warm if side.name.startswith("ours") else warm[:2])
    for block in range(blocks):
        orders = searches[ours].orders(block, size, view)
        for name, side in sides.items():
            if name.startswith("generate") and block >= plain_blocks:
                continue
            seconds, proposals = side.propose(orders)
            print(f"block {block}: {name} took {seconds:.1f} s", file=sys.stderr)
            for pace in (whole[name], *([common[name]] if block < plain_blocks else [])):
                pace.seconds += seconds
                pace.tokens += sum(p.attempts[0].completion_tokens for p in proposals)
            searches[name].commit(proposals)
    for closed in (bench, *sides.values()):
        closed.close()
    best = max(common[name].rate for name in names if name.startswith("generate"))
    return {
        "benchmark": "generation",
        "batch": size,
        "siblings": variation["siblings"],
        "threads": chosen["threads"],
        "dtype": own,
        "sides": {
            name: {
                "completions": len(search.children),
                "tokens": whole[name].tokens,
                "seconds": round(whole[name].seconds, 2),
                "tokens_per_second": round(whole[name].rate, 1),
                "tokens_per_second_common_blocks": round(common[name].rate, 1),
                "runnable": round(search.runnable / len(search.children), 3),
                "distinct_runnable": round(search.distinct / len(search.children), 3),
            }
            for name, search in searches.items()
        },
        "ratio": round(common[ours].rate / best, 2),
        "ratio_float32_to_float32": round(
            common["ours float32"].rate / common["generate float32"].rate, 2
        ),
    }


class OrderView(msgspec.Struct, frozen=True):
    """What a search asks of an operator to draw its orders."""

    parents: int
    siblings: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="one block of 16, for CI")
    parser.add_argument("--blocks", type=int, default=4, help="of our side")
    parser.add_argument("--plain-blocks", type=int, default=2, help="of both sides")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    blocks, plain, size = given.blocks, given.plain_blocks, given.batch
    if given.small:
        blocks, plain, size = 1, 1, 16
    result = measure(blocks, plain, size, given.seed)
    print(json.dumps(result, indent=1))
    if given.small:
        assert result["ratio"] >= 1.3, f"only {result['ratio']} times plain generation"


if __name__ == "__main__":
    main()
