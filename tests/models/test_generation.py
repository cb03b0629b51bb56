"""Our decoding against the library's, and what it promises about seeds, prompts and stops."""

from __future__ import annotations

import copy
import re

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elm.models import ModelError, Request  # noqa: E402
from elm.models.decoding import Row, generate  # noqa: E402
from elm.models.generic import GenericEngine  # noqa: E402
from elm.models.llama import LlamaEngine, LlamaWeights, supports  # noqa: E402
from elm.models.sampling import Sampling, draw, uniform  # noqa: E402
from elm.models.trunks import arrange  # noqa: E402

BASE = "preamble of the run\n\n"
PARENT = "def f():\n    a = 1\n    b = 22\n    return a"
PROMPTS = [
    BASE + PARENT,
    BASE + PARENT[:12],
    BASE + PARENT,
    BASE + "another parent",
    BASE + "another parent, longer",
    BASE + "x",
]


SHARED = len(BASE)


def requests(stop=None, seeds=None, shared=SHARED):
    seeds = seeds or range(len(PROMPTS))
    return [
        Request(prompt=prompt, seed=seed, stop=stop, shared=shared)
        for prompt, seed in zip(PROMPTS, seeds, strict=True)
    ]


def texts(completions):
    return [completion.text for completion in completions]


def test_greedy_completions_equal_those_of_the_library(build_tiny, tiny_llama):
    model = build_tiny(model=tiny_llama, sampling=Sampling(temperature=0))
    ours = texts(model.complete(requests()))
    for prompt, text in zip(PROMPTS, ours, strict=True):
        tokens = torch.tensor([[ord(letter) for letter in prompt]])
        whole = tiny_llama.generate(
            tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=24, do_sample=False
        )
        expected = "".join(map(chr, whole[0, tokens.shape[1] :].tolist()))
        assert text == expected.split("\0")[0]


@pytest.mark.parametrize("tied", [True, False])
def test_logits_equal_those_of_the_library_with_shared_prompts_and_dropped_rows(tied, tiny_llama):
    tiny_llama.config.tie_word_embeddings = tied
    if not tied:
        tiny_llama.lm_head.weight = torch.nn.Parameter(torch.randn(128, 48) * 0.2)
    prompts = [[ord(letter) for letter in prompt] for prompt in PROMPTS]
    layout = arrange(prompts, len(BASE))
    assert any(len(group.rows) > 1 for group in layout.groups)
    device = torch.device("cpu")
    fast = LlamaEngine(LlamaWeights(tiny_llama, torch.float32, device, 8))
    plain = GenericEngine(tiny_llama, device)
    with torch.inference_mode():
        ours, theirs = fast.start(layout, 12), plain.start(layout, 12)
        for step in range(10):
            torch.testing.assert_close(ours, theirs, atol=2e-4, rtol=1e-3)
            tokens = theirs.argmax(-1)
            if step in (3, 6):
                rows = [0, 2, 4] if step == 3 else [1]
                fast.keep(rows)
                plain.keep(rows)
                tokens = tokens[rows]
            ours, theirs = fast.step(tokens), plain.step(tokens)


def test_a_repeated_batch_is_the_same_bit_for_bit(build_tiny):
    model, other = build_tiny(), build_tiny()
    first = model.complete(requests())
    # The second call finds what the prompts begin with in memory; the other model never had it.
    assert texts(model.complete(requests())) == texts(first)
    assert texts(other.complete(requests())) == texts(first)
    assert len(set(texts(first))) == len(PROMPTS)


def test_a_row_depends_on_its_own_seed_only(build_tiny):
    model = build_tiny()
    one = texts(model.complete(requests(seeds=[0, 1, 2, 3, 4, 5])))
    two = texts(model.complete(requests(seeds=[0, 91, 2, 93, 94, 95])))
    assert (one[0], one[2]) == (two[0], two[2])
    assert one[1] != two[1] and one[3] != two[3]
    alone = model.complete([requests()[4]])[0].text
    assert alone == one[4]


def test_sharing_prompts_changes_no_completion(build_tiny, tiny_llama):
    shared = build_tiny(model=tiny_llama).complete(requests())
    whole = build_tiny(model=tiny_llama).complete(requests(shared=0))
    generic = build_tiny(model=tiny_llama, engine="transformers").complete(requests())
    single = [build_tiny(model=tiny_llama).complete([r])[0] for r in requests()]
    assert texts(shared) == texts(whole) == texts(generic) == texts(single)
    assert all(completion.cached_tokens == 0 for completion in generic)


def test_cached_tokens_are_those_computed_for_another_row(build_tiny):
    model = build_tiny()
    first, second = (model.complete(requests()) for _ in range(2))
    base, parent = len(BASE), len(BASE + PARENT)
    assert [c.prompt_tokens for c in first] == [len(prompt) for prompt in PROMPTS]
    assert first[0].cached_tokens == 0  # pays for the base and for its trunk
    assert [c.cached_tokens for c in first[1:3]] == [base + 12, parent]
    assert second[0].cached_tokens == base  # still there from the first call


def test_the_stop_rule_ends_a_row_and_its_tokens_are_counted_exactly(build_tiny):
    how = Sampling(temperature=2.0, top_p=1.0)
    free = build_tiny(sampling=how, max_new_tokens=200).complete(requests())
    assert any("\n" in text for text in texts(free))
    seen = []

    def rule(text):
        seen.append(text)
        place = text.find("\n")
        return place if place >= 0 else None

    done = build_tiny(sampling=how, max_new_tokens=200).complete(requests(stop=rule))
    for before, after in zip(free, done, strict=True):
        assert after.text == before.text.split("\n")[0]
        assert after.completion_tokens == len(after.text)
        if "\n" in before.text:
            assert after.finish_reason == "stop"
    # Rows end at different times, so the batch was made smaller on the way.
    assert len({completion.completion_tokens for completion in done}) > 2
    assert all("\n" in text or len(text) == 200 or not text.isascii() for text in seen if text) or (
        len(seen) <= 2 * len(PROMPTS)
    )


def test_length_is_the_reason_where_the_room_ends(build_tiny):
    done = build_tiny(max_new_tokens=3, sampling=Sampling(temperature=0)).complete(requests())
    for completion in done:
        if completion.completion_tokens == 3:
            assert completion.finish_reason == "length"
    assert any(completion.finish_reason == "length" for completion in done)


def test_micro_batches_change_nothing_in_float32(build_tiny, tiny_llama):
    whole = build_tiny(model=tiny_llama, micro_batch=32).complete(requests())
    cut = build_tiny(model=tiny_llama, micro_batch=2).complete(requests())
    assert texts(whole) == texts(cut)


def test_a_prompt_over_the_context_fails_alone_and_says_what_to_do(build_tiny):
    good = requests()[:2]
    long, empty = Request(prompt="x" * 500, seed=0), Request(prompt="", seed=0)
    model = build_tiny()
    done = model.complete([good[0], long, empty, good[1]])
    assert [c.finish_reason == "error" for c in done] == [False, True, True, False]
    assert re.search(r"500 tokens.*context of 512.*max_new_tokens", done[1].error)
    assert "empty" in done[2].error
    assert (done[1].text, done[1].prompt_tokens, done[1].completion_tokens) == ("", 0, 0)
    assert texts([done[0], done[3]]) == texts(model.complete(good))
    assert [c.finish_reason for c in model.complete([long, empty])] == ["error", "error"]


def test_a_batch_that_breaks_is_one_line(build_tiny, monkeypatch):
    model = build_tiny()

    def step(self, tokens):
        raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nand more lines")

    monkeypatch.setattr(LlamaEngine, "step", step)
    with pytest.raises(ModelError, match="out of memory") as raised:
        model.complete(requests())
    assert "\n" not in str(raised.value) and "model.micro_batch" in str(raised.value)


def test_looking_at_tokens_later_changes_none_of_them(build_tiny):
    model = build_tiny(sampling=Sampling(temperature=2.0))

    def rows(stop):
        return [Row(seed=i, stop=stop, avoid=(100, 101), penalty=3.0) for i in range(len(PROMPTS))]

    def stop(text):
        place = text.find("\n")
        return place if place >= 0 else None

    layout = arrange([[ord(letter) for letter in prompt] for prompt in PROMPTS], SHARED)
    for rule in (None, stop):
        results = []
        for ahead in (False, True):
            made = rows(rule)
            generate(model._engine, layout, made, model.words, model.sampling, 24, ahead)
            results.append([(row.text, row.count, row.finish_reason) for row in made])
        assert results[0] == results[1]
        assert len(set(results[0])) == len(PROMPTS)


def test_models_of_other_architectures_take_the_library_path(tiny_llama):
    assert supports(tiny_llama.config)
    for key, value in (("model_type", "gpt2"), ("hidden_act", "gelu")):
        config = copy.deepcopy(tiny_llama.config)
        setattr(config, key, value)
        assert not supports(config)
    assert supports(transformers.Qwen2Config(**SMALL))
    assert not supports(
        transformers.Qwen2Config(**SMALL, use_sliding_window=True, max_window_layers=1)
    )
    assert not supports(transformers.MistralConfig(**SMALL, sliding_window=16))
    assert not supports(transformers.Gemma2Config(**SMALL))


SMALL = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "bos_token_id": None,
}


@pytest.mark.parametrize(
    ("config", "model"),
    [
        ("Qwen2Config", "Qwen2ForCausalLM"),
        ("MistralConfig", "MistralForCausalLM"),
        ("LlamaConfig", "LlamaForCausalLM"),
    ],
)
def test_relatives_of_llama_are_computed_exactly(config, model, build_tiny):
    extra = {
        "MistralConfig": {"sliding_window": None},
        "LlamaConfig": {"attention_bias": True, "mlp_bias": True},
    }.get(config, {})
    torch.manual_seed(1)
    other = getattr(transformers, model)(getattr(transformers, config)(**SMALL, **extra)).eval()
    for parameter in other.parameters():
        parameter.data.normal_(1.0 if parameter.dim() == 1 else 0.0, 0.3)
    fast = build_tiny(model=other, sampling=Sampling(temperature=0))
    plain = build_tiny(model=other, sampling=Sampling(temperature=0), engine="transformers")
    assert isinstance(fast._engine, LlamaEngine) and isinstance(plain._engine, GenericEngine)
    prompts = [[ord(letter) for letter in prompt] for prompt in PROMPTS]
    layout = arrange(prompts, SHARED)
    with torch.inference_mode():
        ours, theirs = fast._engine.start(layout, 8), plain._engine.start(layout, 8)
        for _ in range(6):
            torch.testing.assert_close(ours, theirs, atol=5e-4, rtol=1e-3)
            tokens = theirs.argmax(-1)
            ours, theirs = fast._engine.step(tokens), plain._engine.step(tokens)
    assert texts(fast.complete(requests())) == texts(plain.complete(requests()))


# Sampling ------------------------------------------------------------------------------------


def test_uniform_numbers_are_spread_evenly_and_depend_on_both_arguments():
    numbers = [number for seed in range(40) for number in uniform(seed, 50)]
    assert len(set(numbers)) == 2000
    assert min(numbers) >= 0.0 and max(numbers) < 1.0
    assert abs(sum(numbers) / 2000 - 0.5) < 0.03


def test_draws_follow_the_nucleus():
    chances = torch.tensor([0.5, 0.3, 0.15, 0.05])
    logits = chances.log().repeat(4000, 1)
    numbers = [(i + 0.5) / 4000 for i in range(4000)]
    counts = torch.bincount(draw(logits, numbers, Sampling(top_p=0.9)), minlength=4) / 4000
    kept = torch.tensor([0.5, 0.3, 0.15, 0.0]) / 0.95
    torch.testing.assert_close(counts.float(), kept, atol=1e-3, rtol=0)
    capped = draw(logits, numbers, Sampling(top_p=1.0, top_k=1))
    assert set(capped.tolist()) == {0}


def test_a_nucleus_wider_than_the_first_look_is_found():
    logits = torch.zeros(1, 1000)
    drawn = {int(draw(logits, [n / 500], Sampling(top_p=1.0))) for n in range(500)}
    assert len(drawn) == 500
