"""Tokens per second of our batched generation against plain `model.generate`.

All sides complete the default run's own prompts, drawn while a small search goes on, with the same
sampling settings and the same stop rule, and count tokens up to the stop only. Plain generation
runs in the same batches, in the type that ours uses and in float32, and the ratio is taken against
the faster of the two; it also runs prompt by prompt, as one does without batches. Sides take turns
on the same blocks, each in a process of its own, so that a busy machine burdens all alike. Ours
also runs in float32, and for more blocks than plain generation, to compare the shares of runnable
programs. The device is the one that a run would take.

    python -m benchmarks.generation [--small] [--model NAME] [--device D] [--dtype T]
        [--batch N] [--blocks N] [--plain-blocks N] [--singles N] [--seed N]
    python -m benchmarks.generation --continuous ...   # fixed micro-batches against one that
                                                       # requests join and leave
    python -m benchmarks.generation --run ...          # a small whole run: how busy the model is

`--model` is the name of a configuration (smollm2), a hub id or a folder.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import yaml

import elm
from benchmarks.search import Bench, Search
from elm.candidate import Proposal
from elm.models import Completion, LanguageModel, ModelSettings, Request, build
from elm.variation import Order
from elm.variation.prompt import PromptOperator
from environments.sodarace.environment import Sodarace

CONFIGS = Path(__file__).resolve().parents[1] / "configs"


def settings(group: str, name: str) -> dict[str, Any]:
    """The default settings of one configuration group."""
    return yaml.safe_load((CONFIGS / group / f"{name}.yaml").read_text())


def model_settings(name: str) -> dict[str, Any]:
    """The settings of a model by the name of its configuration, or by its place."""
    if (CONFIGS / "model" / f"{name}.yaml").is_file():
        return settings("model", name)
    return settings("model", "transformers") | {"name": name}


class Plain(LanguageModel):
    """`model.generate` with a stopping criterion for each row, behind the interface of ours."""

    def __init__(self, chosen: dict[str, Any]) -> None:
        import torch

        from elm.models.decoding import Vocabulary
        from elm.models.devices import choose_device
        from elm.models.loading import model_and_tokenizer
        from elm.models.sampling import Sampling

        torch.set_num_threads(chosen["threads"])
        checked = msgspec.convert(chosen, ModelSettings)
        device = choose_device(checked.device)
        dtype = getattr(torch, checked.dtype)
        model, self._tokenizer = model_and_tokenizer(checked, dtype, device)
        self._model = model.to(device, dtype).eval()
        self.name, self.active_parameters = checked.name, {checked.name: None}
        ends = self._model.generation_config.eos_token_id
        self._words = Vocabulary(self._tokenizer, [ends] if isinstance(ends, int) else ends)
        self._room, self._device = checked.max_new_tokens, device
        self._how = Sampling(
            temperature=checked.temperature, top_p=checked.top_p, top_k=checked.top_k
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
                ended = [finished(row, request) for row, request in rows]
                return torch.tensor(ended, device=input_ids.device)

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
            input_ids=tokens.to(self._device),
            attention_mask=mask.to(self._device),
            do_sample=True,
            temperature=how.temperature,
            top_p=how.top_p,
            top_k=how.top_k,
            max_new_tokens=self._room,
            stopping_criteria=StoppingCriteriaList([Stops()]),
            logits_processor=[Discourage()],
            pad_token_id=self._tokenizer.pad_token_id or min(words.ends),
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


def _serve(pipe: Any, chosen: dict[str, Any], plain: bool, variation: dict[str, Any]) -> None:
    """A side in its own process: orders in, seconds and proposals out."""
    model: Any = Plain(chosen) if plain else build(chosen)
    operator = PromptOperator(Sodarace(), model, **variation)
    while True:
        try:
            orders, batch = pipe.recv()
        except EOFError:  # whoever asked is gone
            return
        began = time.perf_counter()
        proposals: list[Proposal] = []
        for start in range(0, len(orders), batch):
            proposals += operator.propose(orders[start : start + batch])
        pipe.send((time.perf_counter() - began, proposals))


class Side:
    """One way to generate, in a process of its own, and what came of it."""

    def __init__(self, chosen: dict[str, Any], plain: bool, variation: dict[str, Any]) -> None:
        context = multiprocessing.get_context("spawn")
        self.plain = plain
        self._pipe, other = context.Pipe()
        arguments = (other, chosen, plain, variation)
        self._process = context.Process(target=_serve, args=arguments, daemon=True)
        self._process.start()
        other.close()

    def propose(self, orders: Sequence[Order], batch: int) -> tuple[float, list[Proposal]]:
        """Seconds, and a proposal for each order.

        Raises:
            RuntimeError: if the side's process ended.
        """
        self._pipe.send((list(orders), batch))
        try:
            return self._pipe.recv()
        except EOFError:
            raise RuntimeError("a side of the comparison ended; its error stands above") from None

    def close(self) -> None:
        self._process.kill()
        self._process.join()


class Pace:
    """Tokens and seconds of some blocks."""

    def __init__(self) -> None:
        self.tokens, self.seconds = 0, 0.0

    def add(self, seconds: float, proposals: Sequence[Proposal]) -> None:
        self.seconds += seconds
        self.tokens += sum(a.completion_tokens for p in proposals for a in p.attempts)

    @property
    def rate(self) -> float:
        return self.tokens / self.seconds


class OrderView(msgspec.Struct, frozen=True):
    """What a search asks of an operator to draw its orders."""

    parents: int
    siblings: int


def prepare(given: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of the model, with its device and type resolved, and of the operator."""
    from elm.models.devices import choose_device, choose_dtype

    chosen, variation = model_settings(given.model), settings("variation", "prompt")
    variation.pop("name")
    device = choose_device(given.device)
    dtype = str(choose_dtype(given.dtype, device)).removeprefix("torch.")
    chosen |= {"device": str(device), "dtype": dtype, "micro_batch": given.batch}
    return chosen, variation


def measure(
    chosen: dict[str, Any],
    variation: dict[str, Any],
    *,
    blocks: int,
    plain_blocks: int,
    singles: int,
    size: int,
    seed: int,
    float32: bool,
) -> dict[str, Any]:
    """Runs all sides on the same orders; our children are those that the search goes on with."""
    own = chosen["dtype"]
    dtypes = list(dict.fromkeys([own, "float32"] if float32 else [own]))
    ours, plain = f"ours {own}", f"generate {own}"
    sides = {
        f"{kind} {dtype}": Side(chosen | {"dtype": dtype}, kind == "generate", variation)
        for kind in ("ours", "generate")
        for dtype in dtypes
    }
    environment = Sodarace()
    bench = Bench(environment)
    searches = {name: Search(environment, bench, seed) for name in sides}
    common, whole = {n: Pace() for n in sides}, {n: Pace() for n in sides}
    single = Pace()
    view = OrderView(variation["parents"], variation["siblings"])
    warm = searches[ours].orders(-1, size, view)
    try:
        for side in sides.values():  # kernels are built on their first use
            side.propose(warm[:2] if side.plain else warm, size)
        for block in range(blocks):
            orders = searches[ours].orders(block, size, view)
            for name, side in sides.items():
                if side.plain and block >= plain_blocks:
                    continue
                seconds, proposals = side.propose(orders, size)
                print(f"block {block}: {name} took {seconds:.1f} s", file=sys.stderr)
                for pace in (whole[name], *([common[name]] if block < plain_blocks else [])):
                    pace.add(seconds, proposals)
                searches[name].commit(proposals)
            if block < plain_blocks:
                # Spread over the block, whose rows come in groups of siblings.
                some = orders[:: max(1, size // singles)][:singles]
                single.add(*sides[plain].propose(some, 1))
    finally:
        for closed in (bench, *sides.values()):
            closed.close()
    best = max(common[name].rate for name, side in sides.items() if side.plain)
    result = {
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
        "one_by_one": {
            "tokens": single.tokens,
            "seconds": round(single.seconds, 2),
            "tokens_per_second": round(single.rate, 1),
        },
        "ratio": round(common[ours].rate / best, 2),
        "ratio_to_one_by_one": round(common[ours].rate / single.rate, 2),
    }
    if float32:
        pair = common["ours float32"].rate / common["generate float32"].rate
        result["ratio_float32_to_float32"] = round(pair, 2)
    return result


def measure_continuous(
    chosen: dict[str, Any], variation: dict[str, Any], blocks: int, size: int, seed: int
) -> dict[str, Any]:
    """The same orders in fixed micro-batches, and in one batch that they join and leave."""
    environment, view = Sodarace(), OrderView(variation["parents"], variation["siblings"])
    bench = Bench(environment)
    search = Search(environment, bench, seed)
    orders = [o for block in range(blocks) for o in search.orders(block, size, view)]
    bench.close()
    paces = {"fixed": Pace(), "continuous": Pace()}
    written: dict[str, list[str]] = {}
    for name, engine in (("fixed", "auto"), ("continuous", "continuous")):
        model = build(chosen | {"engine": engine, "micro_batch": size})
        assert model is not None
        operator = PromptOperator(environment, model, **variation)
        operator.propose(orders[: size // 2])  # kernels are built on their first use
        began = time.perf_counter()
        made = _propose(operator, model, orders, size)
        paces[name].add(time.perf_counter() - began, made)
        written[name] = [p.attempts[0].completion for p in made]
        model.close()
    pairs = list(zip(written["fixed"], written["continuous"], strict=True))
    return {
        "completions": len(orders),
        "tokens_per_second": {name: round(pace.rate, 1) for name, pace in paces.items()},
        "seconds": {name: round(pace.seconds, 2) for name, pace in paces.items()},
        "ratio": round(paces["continuous"].rate / paces["fixed"].rate, 2),
        "same_text": round(sum(a == b for a, b in pairs) / len(pairs), 3),
    }


def _propose(
    operator: PromptOperator, model: LanguageModel, orders: Sequence[Order], size: int
) -> list[Proposal]:
    """As a run asks: in micro-batches, or from as many threads as the model has lanes."""
    unit = model.unit or size
    parts = [orders[start : start + unit] for start in range(0, len(orders), unit)]
    with ThreadPoolExecutor(model.lanes) as pool:
        return [proposal for made in pool.map(operator.propose, parts) for proposal in made]


def measure_run(chosen: dict[str, Any], blocks: int, size: int, seed: int) -> dict[str, Any]:
    """A whole run, with its archive, journal and sandboxes: what share of it the model works."""
    with tempfile.TemporaryDirectory() as folder:
        summary = elm.run(
            environment={"name": "sodarace"},
            model=chosen,
            variation=settings("variation", "prompt"),
            budget={"model_calls": blocks * size},
            batch_size=size,
            seed=seed,
            run_dir=folder,
            run_name="generation",
            view="none",
            report=False,
        )
    keys = ("ending", "evaluations", "model_calls", "tokens", "completion_tokens")
    keys += ("runnable_fraction", "coverage", "wall_seconds", "model_busy_fraction")
    return {key: summary[key] for key in keys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", action="store_true", help="one block of 16, for CI")
    parser.add_argument("--model", default="smollm2", help="a configuration, hub id or folder")
    parser.add_argument("--device", default="auto")
    parser.add_argument(
        "--dtype", default="auto", choices=["auto", "float32", "bfloat16", "float16"]
    )
    parser.add_argument("--blocks", type=int, default=4, help="of our side")
    parser.add_argument("--plain-blocks", type=int, default=2, help="of both sides")
    parser.add_argument("--singles", type=int, default=4, help="of a block, prompt by prompt")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--continuous", action="store_true")
    parser.add_argument("--run", action="store_true")
    given = parser.parse_args()
    if given.small:
        given.blocks, given.plain_blocks, given.singles, given.batch = 1, 1, 2, 16
    chosen, variation = prepare(given)
    common = {
        "model": chosen["name"],
        "device": chosen["device"],
        "dtype": chosen["dtype"],
        "batch": given.batch,
        "threads": chosen["threads"],
    }
    if given.run:
        found = measure_run(chosen, given.blocks + 1, given.batch, given.seed)
        print(json.dumps({"benchmark": "generation in a run", **common, **found}, indent=1))
        return
    if given.continuous:
        found = measure_continuous(
            chosen, variation, given.blocks + given.small, given.batch, given.seed
        )
        print(json.dumps({"benchmark": "continuous batching", **common, **found}, indent=1))
        return
    result = measure(
        chosen,
        variation,
        blocks=given.blocks,
        plain_blocks=min(given.plain_blocks, given.blocks),
        singles=min(given.singles, given.batch),
        size=given.batch,
        seed=given.seed,
        float32=not given.small and chosen["dtype"] != "float32",
    )
    siblings = variation["siblings"]
    print(
        json.dumps({"benchmark": "generation", **common, "siblings": siblings, **result}, indent=1)
    )
    if given.small:
        assert result["ratio"] >= 1.3, f"only {result['ratio']} times plain generation"


if __name__ == "__main__":
    main()
