"""Conversations in the model's own template, the answer's beginning included."""

from __future__ import annotations

from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from elm.models import FatalModelError, Message, ModelError, Request  # noqa: E402
from elm.models.causal import CausalModel  # noqa: E402
from elm.models.stub import StubModel  # noqa: E402

RULES = Message("system", "write programs")
ASKED = Message("user", "make it longer:\ndef f(): pass")


@pytest.fixture
def build_chat(tiny_folder: Any) -> Any:
    def make(**options: Any) -> CausalModel:
        tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_folder)
        if options.pop("no_template", False):
            tokenizer.chat_template = None
        model = transformers.AutoModelForCausalLM.from_pretrained(tiny_folder, dtype=torch.float32)
        settings = {"dtype": torch.float32, "threads": 1, "max_new_tokens": 16} | options
        return CausalModel("tiny", model, tokenizer, **settings)

    return make


@pytest.mark.parametrize("prefill", ["", "```python\n"])
@pytest.mark.parametrize("messages", [(RULES, ASKED), (ASKED,), (RULES,)])
def test_a_conversation_is_its_text_in_the_template(messages, prefill, build_chat):
    model = build_chat()
    text = "".join(f"<{m.role}>\n{m.content}\n" for m in messages) + "<assistant>\n" + prefill
    asked = model.complete([Request(messages=messages, prefill=prefill, seed=5)])[0]
    plain = model.complete([Request(prompt=text, seed=5)])[0]
    assert asked.text == plain.text and asked.text
    assert asked.prompt_tokens == len(text)
    assert model.prefills and model.continues


def test_conversations_share_the_system_message_between_calls(build_chat):
    model = build_chat()
    opening = len(f"<system>\n{RULES.content}\n")
    others = [Message("user", "another\n" + "y" * 200), Message("user", "third")]
    first = model.complete([Request(messages=(RULES, ASKED), seed=1)])[0]
    assert first.cached_tokens == 0
    for message in others:
        done = model.complete([Request(messages=(RULES, message), seed=1)])[0]
        assert done.cached_tokens == opening


def test_texts_and_conversations_can_be_asked_for_together(build_chat):
    model = build_chat()
    talk, text = Request(messages=(RULES, ASKED), seed=1), Request(prompt="def f():", seed=2)
    together = model.complete([talk, text])
    apart = [model.complete([request])[0] for request in (talk, text)]
    assert [c.text for c in together] == [c.text for c in apart]


def test_without_a_template_it_says_what_to_choose(build_chat):
    model = build_chat(no_template=True)
    with pytest.raises(FatalModelError, match=r"model tiny: .*no chat template.*variation\.shape"):
        model.complete([Request(messages=(ASKED,), seed=0)])
    assert model.complete([Request(prompt="def f():", seed=0)])[0].completion_tokens > 0


def test_what_a_template_refuses_is_one_line(build_chat):
    late = Request(messages=(ASKED, RULES), seed=0)
    with pytest.raises(ModelError, match="refuses this conversation: the system message comes"):
        build_chat().complete([late])


def test_a_conversation_over_the_context_fails_alone(build_chat):
    long = Request(messages=(Message("user", "x" * 600),), seed=0)
    done = build_chat().complete([long, Request(messages=(ASKED,), seed=0)])
    assert [c.finish_reason == "error" for c in done] == [True, False]
    assert "context of 512" in done[0].error


def test_the_stub_answers_with_the_last_program_changed():
    shown = "First:\n```python\na = 1\n```\nNow this:\n```python\nb = 22\n```\nDo it."
    messages = (RULES, Message("user", shown))
    whole = StubModel().complete([Request(messages=messages, seed=1)])[0]
    assert whole.text.startswith("```python\nb = ") and whole.text.endswith("\n```")
    assert "b = 22\n" not in whole.text and whole.finish_reason == "stop"
    begun = Request(messages=messages, prefill="```python\n", seed=1)
    assert "```python\n" + StubModel().complete([begun])[0].text == whole.text
    assert StubModel().complete([Request(messages=(ASKED,), seed=1)])[0].text == ""
