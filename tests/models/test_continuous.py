"""Rows that join a batch under way: the same completions, and nobody waits for the longest."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elm.models import ModelError, Request  # noqa: E402
from elm.models.continuous import ContinuousModel  # noqa: E402
from elm.models.generic import GenericEngine  # noqa: E402
from elm.models.joining import JoiningEngine  # noqa: E402
from elm.models.llama import LlamaWeights  # noqa: E402
from elm.models.sampling import Sampling  # noqa: E402
from elm.models.trunks import arrange  # noqa: E402
from tests.models.conftest import Letters  # noqa: E402

BASE = "preamble of the run\n\n"
PARENT = "def f():\n    a = 1\n    b = 22\n    return a"


def prompts(count: int) -> list[str]:
    whole = [BASE + PARENT, BASE + PARENT[:12], BASE + f"another parent {PARENT}", BASE + "x"]
    return [whole[i % 4] + "ab"[: i % 3] for i in range(count)]


def requests(count: int, **options: Any) -> list[Request]:
    return [
        Request(prompt=prompt, seed=seed, shared=len(BASE), **options)
        for seed, prompt in enumerate(prompts(count))
    ]


def end_of_line(text: str) -> int | None:
    place = text.find("\n")
    return place if place >= 0 else None


@pytest.fixture
def build_continuous(tiny_llama: Any) -> Any:
    made = []

    def make(**options: Any) -> ContinuousModel:
        settings = {"dtype": torch.float32, "threads": 1, "max_new_tokens": 24, **options}
        llama = settings.pop("model", None) or tiny_llama
        made.append(ContinuousModel("tiny", llama, Letters(), **settings))
        return made[-1]

    yield make
    for model in made:
        model.close()


def ask(model: ContinuousModel, wanted: list[Request], threads: int) -> list[Any]:
    with ThreadPoolExecutor(threads) as pool:
        return [done[0] for done in pool.map(lambda r: model.complete([r]), wanted)]


def test_logits_of_rows_that_join_and_leave_equal_those_of_the_library(tiny_llama):
    device = torch.device("cpu")
    engine = JoiningEngine(LlamaWeights(tiny_llama, torch.float32, device, 8))
    tokens = [[ord(letter) for letter in prompt] for prompt in prompts(10)]
    written: list[list[int]] = []  # all tokens of each row that is there

    def check(logits: Any) -> Any:
        for row, sequence in zip(logits, written, strict=True):
            plain = GenericEngine(tiny_llama, device).start(arrange([sequence]), 1)[0]
            torch.testing.assert_close(row, plain, atol=5e-4, rtol=1e-3)
        return logits.argmax(-1)

    with torch.inference_mode():
        logits = torch.empty(0, 128)
        for coming, leaving in (([0, 1], []), ([2, 3, 4], [0]), ([5], []), ([6, 7, 8, 9], [1, 2])):
            stays = [i for i in range(len(written)) if i not in leaving]
            if leaving:
                engine.keep(stays)
                written, logits = [written[i] for i in stays], logits[stays]
            for sequence, token in zip(written, logits.argmax(-1).tolist(), strict=True):
                sequence.append(token)
            parts = [engine.step(logits.argmax(-1))] if written else []
            parts.append(engine.join(arrange([tokens[i] for i in coming], len(BASE)), 16))
            written += [list(tokens[i]) for i in coming]
            logits = torch.cat(parts)
            for _ in range(3):
                drawn = check(logits)
                for sequence, token in zip(written, drawn.tolist(), strict=True):
                    sequence.append(token)
                logits = engine.step(drawn)
            check(logits)
    assert len(written) == 7


@pytest.mark.parametrize("threads", [1, 3, 12])
def test_completions_are_those_of_fixed_batches(threads, build_tiny, build_continuous, tiny_llama):
    how = Sampling(temperature=2.0, top_p=1.0)
    wanted = requests(30, stop=end_of_line, avoid="ab", penalty=2.0)
    fixed = build_tiny(model=tiny_llama, sampling=how, max_new_tokens=60).complete(wanted)
    model = build_continuous(sampling=how, max_new_tokens=60, micro_batch=6)
    done = ask(model, wanted, threads)
    assert [(c.text, c.completion_tokens, c.finish_reason) for c in done] == [
        (c.text, c.completion_tokens, c.finish_reason) for c in fixed
    ]
    assert [c.prompt_tokens for c in done] == [c.prompt_tokens for c in fixed]
    assert len({c.completion_tokens for c in done}) > 5
    assert all(0 <= c.cached_tokens <= c.prompt_tokens for c in done)
    assert sum(c.cached_tokens for c in done) > 20 * len(BASE)


def test_no_row_waits_for_the_longest_and_no_batch_is_too_large(
    build_continuous, tiny_llama, monkeypatch
):
    tiny_llama.generation_config.eos_token_id = None  # nothing ends but by its rule
    sizes: list[int] = []
    step = JoiningEngine.step

    def counted(self: Any, tokens: Any) -> Any:
        sizes.append(len(tokens))
        return step(self, tokens)

    monkeypatch.setattr(JoiningEngine, "step", counted)
    model = build_continuous(micro_batch=4, max_new_tokens=200, sampling=Sampling(temperature=2.0))
    monkeypatch.setattr(model.words, "ends_line", lambda token: True)
    # One row goes on to the end, all others end after one token.
    long = requests(1)[0]
    short = [Request(prompt=r.prompt, seed=r.seed, stop=lambda text: 0) for r in requests(40)]
    order: list[int] = []
    with ThreadPoolExecutor(6) as pool:
        first = pool.submit(lambda: (model.complete([long]), order.append(-1)))
        list(pool.map(lambda r: (model.complete([r]), order.append(r.seed)), short))
        first.result()
    assert max(sizes) <= 4
    assert order.index(-1) > 20  # a fixed batch would have kept the others waiting
    assert model.lanes > 4 and model.unit == 1 and not model.reproducible


def test_one_request_that_is_refused_and_a_batch_that_breaks_leave_the_others(
    build_continuous, monkeypatch
):
    model = build_continuous(micro_batch=4)
    done = model.complete([requests(1)[0], Request(prompt="x" * 500, seed=0)])
    assert done[0].finish_reason != "error" and "context of 512" in done[1].error
    start = JoiningEngine.start

    def broken(self: Any, *_: Any) -> Any:
        raise RuntimeError("out of memory: this and that\nsecond line")

    monkeypatch.setattr(JoiningEngine, "start", broken)
    with pytest.raises(ModelError, match="out of memory") as raised:
        model.complete(requests(3))
    assert "\n" not in str(raised.value)
    monkeypatch.setattr(JoiningEngine, "start", start)
    assert [c.text for c in model.complete(requests(1))] == [done[0].text]


def test_who_waits_when_it_is_closed_is_told(build_continuous):
    model = build_continuous(micro_batch=2, max_new_tokens=400, sampling=Sampling(top_p=1.0))
    said: list[str] = []

    def one(request: Request) -> None:
        try:
            model.complete([request])
        except ModelError as error:
            said.append(str(error))

    threads = [threading.Thread(target=one, args=(r,)) for r in requests(8)]
    for thread in threads:
        thread.start()
    model.close()
    for thread in threads:
        thread.join(60)
    assert said and all("closed" in reason for reason in said)
    with pytest.raises(ModelError, match="closed"):
        model.complete(requests(1))


def test_other_architectures_are_refused(build_continuous):
    config = transformers.GPT2Config(n_embd=32, n_layer=1, n_head=2, vocab_size=128)
    with pytest.raises(ModelError, match=r"engine=continuous needs .*llama.*gpt2.*engine=auto"):
        build_continuous(model=transformers.GPT2LMHeadModel(config))
