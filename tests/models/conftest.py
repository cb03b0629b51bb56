"""A tiny Llama with random weights, and a tokenizer of single characters."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")


TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' and not loop.first %}"
    "{{ raise_exception('the system message comes first') }}{% endif %}"
    "<{{ m.role }}>\n{{ m.content }}\n{% endfor %}"
    "{% if add_generation_prompt %}<assistant>\n{% endif %}"
)


class Letters:
    """Token = code of an ASCII character."""

    def encode(self, text: str, add_special_tokens: bool = False) -> list[int]:
        return [min(ord(letter), 127) for letter in text]

    def decode(self, tokens: Any, **_: Any) -> str:
        return "".join(map(chr, tokens))


def tiny(**settings: Any) -> Any:
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=128,
        hidden_size=48,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        rms_norm_eps=1e-5,
        eos_token_id=0,
        pad_token_id=0,
        bos_token_id=None,
        **settings,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            parameter.data.uniform_(0.5, 1.5)
        else:
            parameter.data.normal_(0, 0.2)
    return model


@pytest.fixture
def build_tiny() -> Any:
    """Makes a `CausalModel` over the tiny Llama, with settings of the test's choice."""
    from elm.models.causal import CausalModel

    def make(**settings: Any) -> Any:
        options = {"dtype": torch.float32, "threads": 1, "max_new_tokens": 24, **settings}
        return CausalModel("tiny", options.pop("model", None) or tiny(), Letters(), **options)

    return make


@pytest.fixture
def tiny_llama() -> Any:
    return tiny()


@pytest.fixture
def tiny_folder(tmp_path: Any) -> Any:
    """A folder as the hub has them: the tiny Llama, and a tokenizer with a chat template."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

    words = {chr(code): code for code in range(128)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    tokenizer.decoder = decoders.Fuse()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer)
    fast.chat_template = TEMPLATE
    folder = tmp_path / "tiny-llama"
    tiny().save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder
