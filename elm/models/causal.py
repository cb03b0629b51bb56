"""A causal language model on this machine, as the search sees it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from elm.models.base import Completion, ModelError, Request
from elm.models.decoding import Engine, Row, Vocabulary, generate
from elm.models.generic import GenericEngine
from elm.models.llama import LlamaEngine, LlamaWeights, supports
from elm.models.sampling import Sampling
from elm.models.trunks import Layout, arrange


class CausalModel:
    """Completes prompts in fixed micro-batches.

    Args:
        name: for reports.
        model: a `transformers` causal model, already placed.
        tokenizer: its tokenizer.
        dtype: of the products; where the model is a Llama, its weights are converted to it.
        active_parameters: for FLOPs accounting.
        threads: of the processor that one step uses. Set once and recorded, since it changes the
            last bits of the logits.
        micro_batch: rows that are generated together; a batch is cut into these in order.
        max_new_tokens: of one completion.
        engine: "auto" takes the own decoding where it knows the architecture, "transformers"
            always the model's own `forward`.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        *,
        dtype: torch.dtype,
        active_parameters: int | None = None,
        threads: int = 2,
        micro_batch: int = 32,
        max_new_tokens: int = 192,
        sampling: Sampling | None = None,
        engine: str = "auto",
    ) -> None:
        self.name, self.active_parameters = name, active_parameters
        self.threads, self.micro_batch, self.room = threads, micro_batch, max_new_tokens
        self.sampling = sampling or Sampling()
        self.dtype = str(dtype).removeprefix("torch.")
        if torch.get_num_threads() != threads:
            torch.set_num_threads(threads)
        config = model.generation_config
        ends = config.eos_token_id if config.eos_token_id is not None else []
        self.words = Vocabulary(tokenizer, [ends] if isinstance(ends, int) else ends)
        self.context: int | None = getattr(model.config, "max_position_embeddings", None)
        device = model.device
        self._engine: Engine
        if engine == "auto" and supports(model.config) and not hasattr(model, "hf_device_map"):
            self._engine = LlamaEngine(LlamaWeights(model, dtype, device, micro_batch))
        else:
            self._engine = GenericEngine(model, device)

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion for each request, in their order. See `LanguageModel`."""
        done: list[Completion] = []
        for start in range(0, len(requests), self.micro_batch):
            done += self._batch(requests[start : start + self.micro_batch])
        return done

    def _tokens(self, request: Request) -> tuple[list[int], int]:
        """Tokens of a prompt, and how many belong to what the run's prompts begin with."""
        base = self.words.encode(request.prompt[: request.shared]) if request.shared else []
        tokens = base + self.words.encode(request.prompt[request.shared :])
        if not tokens:
            raise ModelError(f"model {self.name}: a prompt is empty; it needs at least one token")
        if self.context is not None and len(tokens) + self.room > self.context:
            raise ModelError(
                f"model {self.name}: a prompt of {len(tokens)} tokens and max_new_tokens="
                f"{self.room} do not fit its context of {self.context}; "
                "show fewer parents or lower model.max_new_tokens"
            )
        return tokens, len(base)

    def _batch(self, requests: Sequence[Request]) -> list[Completion]:
        began = time.perf_counter()
        prompts = [self._tokens(request) for request in requests]
        layout = arrange([tokens for tokens, _ in prompts], min(base for _, base in prompts))
        rows = [
            Row(
                seed=request.seed,
                stop=request.stop,
                avoid=self.words.encode(request.avoid),
                penalty=request.penalty,
            )
            for request in requests
        ]
        try:
            generate(self._engine, layout, rows, self.words, self.sampling, self.room)
        except (RuntimeError, MemoryError) as error:  # torch says "out of memory" in many ways
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(f"model {self.name}: generation failed: {reason}") from error
        seconds = time.perf_counter() - began
        cached = self._cached(layout)
        return [
            Completion(
                text=row.text or "",
                prompt_tokens=len(tokens),
                completion_tokens=row.count,
                cached_tokens=cached[i],
                finish_reason=row.finish_reason,
                latency=seconds,
            )
            for i, (row, (tokens, _)) in enumerate(zip(rows, prompts, strict=True))
        ]

    def _cached(self, layout: Layout) -> list[int]:
        """Prompt tokens of each row that were computed for another: a trunk is its first longest
        row's, the base is the first such row's unless an earlier batch computed it."""
        cached: list[int] = []
        if isinstance(self._engine, GenericEngine):
            return [0 for group in layout.groups for _ in group.rows]
        base_paid = self._engine.base_was_kept  # type: ignore[attr-defined]
        for group in layout.groups:
            trunk_paid = False
            for row in group.rows:
                if not trunk_paid and row.shared == len(group.trunk):
                    cached.append(len(layout.base) if base_paid else 0)
                    trunk_paid = base_paid = True
                else:
                    cached.append(row.shared)
        return cached

    def close(self) -> None:
        """Frees the memory that the model holds."""
        del self._engine
