"""A causal language model on this machine, as the search sees it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from elm.models.base import Completion, LanguageModel, ModelError, Request
from elm.models.decoding import Engine, Row, Vocabulary, generate
from elm.models.encoding import Encoded, Encoder, RefusedError
from elm.models.generic import GenericEngine
from elm.models.llama import LlamaEngine, LlamaWeights, supports
from elm.models.sampling import Sampling
from elm.models.trunks import arrange


def refusal(error: RefusedError) -> Completion:
    """What comes back of a request that cannot be completed."""
    return Completion(
        text="", prompt_tokens=0, completion_tokens=0, finish_reason="error", error=str(error)
    )


def failure(name: str, error: BaseException) -> ModelError:
    """What to say of a batch that broke, in one line."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    advice = "; lower model.micro_batch" if "out of memory" in reason.lower() else ""
    return ModelError(f"model {name}: generation failed: {reason}{advice}")


def is_spread(model: Any) -> bool:
    """Whether a model's layers lie in several places, so that only it knows its way."""
    places = getattr(model, "hf_device_map", {}).values()
    return len(set(places)) > 1 or bool({"disk", "meta"} & set(map(str, places)))


class CausalModel(LanguageModel):
    """Completes prompts in fixed micro-batches, and answers conversations that its chat template
    can show.

    Args:
        name: for reports.
        model: a `transformers` causal model.
        tokenizer: its tokenizer.
        dtype: of the products; where the model is a Llama, its weights are converted to it.
        device: where it is to work; None: where it lies. A model that the library spread over
            several devices stays where it is.
        active_parameters: for FLOPs accounting.
        threads: of the processor that one step uses. Recorded, since it changes the last bits of
            the logits, and set again wherever a batch is made: the environment may say otherwise.
        micro_batch: rows that are generated together; a batch is cut into these in order.
        max_new_tokens: of one completion.
        engine: "auto" takes the own decoding where it knows the architecture, "transformers"
            always the model's own `forward`.
        fingerprint: checksum of what was laid over the weights; "" where nothing was.
    """

    def __init__(
        self,
        name: str,
        model: Any,
        tokenizer: Any,
        *,
        dtype: torch.dtype,
        device: torch.device | None = None,
        active_parameters: int | None = None,
        threads: int = 2,
        micro_batch: int = 32,
        max_new_tokens: int = 192,
        sampling: Sampling | None = None,
        engine: str = "auto",
        fingerprint: str = "",
    ) -> None:
        self.name, self.active_parameters = name, {name: active_parameters}
        self.threads, self.micro_batch, self.room = threads, micro_batch, max_new_tokens
        self.unit, self.fingerprint = micro_batch, fingerprint
        self.sampling = sampling or Sampling()
        self.dtype = str(dtype).removeprefix("torch.")
        self._set_threads()
        config = model.generation_config
        ends = config.eos_token_id if config.eos_token_id is not None else []
        self.words = Vocabulary(tokenizer, [ends] if isinstance(ends, int) else ends)
        context = getattr(model.config, "max_position_embeddings", None)
        self.encoder = Encoder(name, tokenizer, self.words, context, max_new_tokens)
        self._engine = self._build(model, dtype, device, engine)

    def _build(
        self, model: Any, dtype: torch.dtype, device: torch.device | None, engine: str
    ) -> Engine:
        if engine == "auto" and supports(model.config) and not is_spread(model):
            device = device or model.device
            return LlamaEngine(LlamaWeights(model, dtype, device, self.micro_batch))
        if device is not None and not is_spread(model):
            model = model.to(device, dtype)
        return GenericEngine(model, model.device)

    def _set_threads(self) -> None:
        # Every thread of this process has such a number of its own, and begins with the one
        # that the environment named (launchers of ranks set OMP_NUM_THREADS=1).
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion for each request, in their order. See `LanguageModel`."""
        done: list[Completion] = []
        for start in range(0, len(requests), self.micro_batch):
            done += self._micro_batch(requests[start : start + self.micro_batch])
        return done

    def _micro_batch(self, requests: Sequence[Request]) -> list[Completion]:
        done: list[Completion | None] = [None] * len(requests)
        good: list[tuple[Request, Encoded]] = []
        for i, request in enumerate(requests):
            try:
                good.append((request, self.encoder.encode(request)))
            except RefusedError as error:
                done[i] = refusal(error)
        made = iter(self._generate(good) if good else [])
        return [next(made) if completion is None else completion for completion in done]

    def _generate(self, batch: Sequence[tuple[Request, Encoded]]) -> list[Completion]:
        began = time.perf_counter()
        self._set_threads()
        layout = arrange([e.tokens for _, e in batch], min(e.base for _, e in batch))
        rows = [
            Row(seed=request.seed, stop=request.stop, avoid=encoded.avoid, penalty=request.penalty)
            for request, encoded in batch
        ]
        try:
            generate(self._engine, layout, rows, self.words, self.sampling, self.room)
        except (RuntimeError, MemoryError) as error:  # torch says "out of memory" in many ways
            raise failure(self.name, error) from error
        seconds = time.perf_counter() - began
        return [
            Completion(
                text=row.text or "",
                prompt_tokens=len(encoded.tokens),
                completion_tokens=row.count,
                cached_tokens=cached,
                finish_reason=row.finish_reason,
                latency=seconds,
            )
            for row, (_, encoded), cached in zip(rows, batch, self._engine.cached, strict=True)
        ]

    def close(self) -> None:
        """Frees the memory that the model holds."""
        del self._engine
