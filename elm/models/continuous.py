"""Continuous batching: a request joins the batch as soon as another has left it.

For runs whose results are taken as they arrive. A fixed micro-batch waits for its longest row; here
the rows that are done are answered at once, and waiting ones take their places.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import torch

from elm.models.base import Completion, ModelError, Request
from elm.models.causal import CausalModel, failure, is_spread, refusal
from elm.models.choosing import Chooser
from elm.models.decoding import STALE, Row
from elm.models.encoding import Encoded, RefusedError
from elm.models.joining import JoiningEngine
from elm.models.llama import LlamaWeights, supports
from elm.models.trunks import arrange


class _Job:
    """A request between the thread that asked and the one that generates."""

    def __init__(self, request: Request, encoded: Encoded) -> None:
        self.encoded = encoded
        self.row = Row(
            seed=request.seed, stop=request.stop, avoid=encoded.avoid, penalty=request.penalty
        )
        self.began = time.perf_counter()
        self.cached = 0
        self.done = threading.Event()
        self.completion: Completion | None = None
        self.error: ModelError | None = None

    def answer(self) -> None:
        self.completion = Completion(
            text=self.row.text or "",
            prompt_tokens=len(self.encoded.tokens),
            completion_tokens=self.row.count,
            cached_tokens=self.cached,
            finish_reason=self.row.finish_reason,
            latency=time.perf_counter() - self.began,
        )
        self.done.set()

    def fail(self, error: ModelError) -> None:
        self.error = error
        self.done.set()


class ContinuousModel(CausalModel):
    """Completes requests of many threads in one batch, which they join and leave between steps.

    A row's draws depend on its own seed; but its logits are computed beside whoever is there, so
    that their last bits, and now and then a token, depend on who came when. `CausalModel` says
    what the arguments are; at most `micro_batch` rows are generated at one time.

    Raises:
        ModelError: if the model is of an architecture that rows cannot join.
    """

    reproducible = False
    unit = 1

    def __init__(self, name: str, model: Any, tokenizer: Any, **options: Any) -> None:
        super().__init__(name, model, tokenizer, **options)
        self.unit = 1
        # Some more than there are places, so that there is always somebody waiting.
        self.lanes = self.micro_batch + max(1, self.micro_batch // 4)
        self._waiting: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"model-{name}", daemon=True)
        self._thread.start()

    def _build(
        self, model: Any, dtype: torch.dtype, device: torch.device | None, engine: str
    ) -> JoiningEngine:
        if not supports(model.config) or is_spread(model):
            raise ModelError(
                "model.engine=continuous needs a model of the architecture llama, mistral or qwen2 "
                f"with plain weights on one device; {self.name} is of {model.config.model_type}: "
                "take model.engine=auto"
            )
        device = device or model.device
        return JoiningEngine(LlamaWeights(model, dtype, device, self.micro_batch))

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion for each request, in their order. Any number of threads may call it."""
        answers: list[_Job | Completion] = []
        for request in requests:
            try:
                answers.append(_Job(request, self.encoder.encode(request)))
            except RefusedError as error:
                answers.append(refusal(error))
        jobs = [answer for answer in answers if isinstance(answer, _Job)]
        with self._changed:
            if self._closed:
                raise ModelError(f"model {self.name}: it was closed")
            self._waiting.extend(jobs)
            self._changed.notify()
        done = []
        for answer in answers:
            if isinstance(answer, _Job):
                answer.done.wait()
                if answer.error is not None:
                    raise answer.error
                assert answer.completion is not None
                done.append(answer.completion)
            else:
                done.append(answer)
        return done

    def close(self) -> None:
        """Ends the generation. Who still waits is told that the model was closed."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    # In the thread that generates -----------------------------------------------------------

    def _work(self) -> None:
        jobs: list[_Job] = []
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    break
            try:
                jobs = []
                self._set_threads()
                self._batch(jobs)
            except (RuntimeError, MemoryError) as error:  # as in a fixed batch
                self._fail(jobs, failure(self.name, error))
            except BaseException as error:
                with self._changed:
                    self._closed = True
                self._fail([*jobs, *self._waiting], failure(self.name, error))
                raise
        self._fail([*jobs, *self._waiting], ModelError(f"model {self.name}: it was closed"))
        del self._engine

    def _fail(self, jobs: Sequence[_Job], error: ModelError) -> None:
        for job in jobs:
            if not job.done.is_set():
                job.fail(error)

    def _come(self, living: int) -> list[_Job]:
        """Who joins now: nobody while it would be few, since moving caches costs as much as
        some steps."""
        with self._changed:
            count = min(len(self._waiting), self.micro_batch - living)
            if count < STALE * living:
                return []
            return [self._waiting.popleft() for _ in range(count)]

    @torch.inference_mode()
    def _batch(self, jobs: list[_Job]) -> None:
        """Generates until nobody is left. `jobs` stays up to date, for whoever must fail them."""
        engine, room = self._engine, self.room
        assert isinstance(engine, JoiningEngine)
        engine.keep([])
        chooser: Chooser | None = None
        logits: torch.Tensor | None = None
        drawn: torch.Tensor | None = None
        while not self._closed:
            left = [i for i, job in enumerate(jobs) if not job.done.is_set()]
            coming = self._come(len(left))
            if not left and not coming:
                return
            dead = len(jobs) - len(left)
            if dead and (coming or dead >= STALE * len(jobs)):
                engine.keep(left)
                jobs[:] = [jobs[i] for i in left]
                if left:
                    assert chooser is not None and drawn is not None
                    chooser.keep(left)
                    drawn = drawn[left]
                else:
                    chooser = drawn = None
            if drawn is not None:
                logits = engine.step(drawn)
            if coming:
                jobs.extend(coming)
                first = self._prefill(coming)
                mine = Chooser([job.row for job in coming], self.sampling, room, first.device)
                if chooser is None or logits is None or drawn is None:
                    chooser, logits = mine, first
                else:
                    chooser.join(mine)
                    logits = torch.cat([logits, first])
            assert chooser is not None and logits is not None
            drawn = chooser.draw(logits)
            for job, token in zip(jobs, drawn.tolist(), strict=True):
                if job.row.text is None:
                    job.row.take(token, self.words, room)
                    if job.row.text is not None:
                        job.answer()

    def _prefill(self, coming: Sequence[_Job]) -> torch.Tensor:
        encoded = [job.encoded for job in coming]
        layout = arrange([e.tokens for e in encoded], min(e.base for e in encoded))
        engine = self._engine
        assert isinstance(engine, JoiningEngine)
        logits = engine.join(layout, self.room)
        for job, cached in zip(coming, engine.cached, strict=True):
            job.cached = cached
        return logits
