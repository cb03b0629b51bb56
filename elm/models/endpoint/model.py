"""A language model behind an endpoint, as the search sees it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence
from typing import Any

from elm.models.base import Completion, FatalModelError, LanguageModel, ModelError, Request
from elm.models.endpoint.answer import Answer, NoAnswer, read
from elm.models.endpoint.client import Client
from elm.models.endpoint.failure import Explainer, Failure
from elm.models.endpoint.health import Health
from elm.models.endpoint.keys import Redactor
from elm.models.endpoint.loop import LoopClosed, LoopThread
from elm.models.endpoint.pauses import pause
from elm.models.endpoint.settings import EndpointSettings, Prices

_SEEDS = 1 << 31  # endpoints take 32 bits, some of them signed


class EndpointModel(LanguageModel):
    """Asks an endpoint, many requests at one time. `complete` may be called by many threads.

    What passes by itself is asked again, after pauses that grow. What goes wrong for good with one
    request is a completion with finish reason "error"; see `Health` for when all is lost.

    Args:
        settings: checked.
        connect: makes the client.
        explainer, redactor: for messages, and to keep the key out of all text.
        prices: None where nobody knows them; completions then cost nothing.
    """

    unit = 1
    reproducible = False

    def __init__(
        self,
        settings: EndpointSettings,
        connect: Callable[[], Client],
        explainer: Explainer,
        redactor: Redactor,
        prices: Prices | None,
    ) -> None:
        self.name = settings.name
        self.active_parameters = {settings.name: settings.active_parameters}
        self.lanes = settings.concurrency
        self.continues = settings.api == "completions"
        self.prefills = settings.prefill or self.continues
        self.priced = prices is not None
        self._settings, self._prices = settings, prices
        self._explain, self._redactor = explainer, redactor
        self._health = Health(settings.concurrency)
        self._rng = random.Random()  # of the pauses only, which must differ between processes
        self._fatal = ""
        self._loop = LoopThread(f"endpoint {settings.name}")
        try:
            self._loop.run(self._open(connect))
        except BaseException:
            self._loop.close()
            raise

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion for each request, in their order. See `LanguageModel`."""
        if self._fatal:
            raise FatalModelError(self._fatal)
        try:
            completions = self._loop.run(self._all(requests))
        except LoopClosed:
            raise ModelError(f"model {self.name}: it was closed") from None
        # What was paid for is handed on; whoever asks next is told.
        if self._fatal and all(each.finish_reason == "error" for each in completions):
            raise FatalModelError(self._fatal)
        return completions

    def close(self) -> None:
        """Ends the connections; who still waits for a completion gets a `ModelError`."""
        try:
            self._loop.run(self._client.close())
        except LoopClosed:
            return  # closed before
        self._loop.close()

    # -- in the loop's thread ----------------------------------------------------------------

    async def _open(self, connect: Callable[[], Client]) -> None:
        self._client = connect()
        self._room = asyncio.Semaphore(self._settings.concurrency)
        self._lost = asyncio.Event()  # all is

    async def _all(self, requests: Sequence[Request]) -> list[Completion]:
        return list(await asyncio.gather(*map(self._one, requests)))

    async def _one(self, request: Request) -> Completion:
        async with self._room:
            if self._fatal:
                return self._error(self._fatal, 0)
            try:
                return await self._until_it_answers(request)
            except Failure as failure:
                if self._health.failed(failure.cause) and not self._fatal:
                    self._fatal = f"model {self.name}: {failure.reason}"
                    self._lost.set()
                return self._error(failure.reason, failure.tries)

    async def _until_it_answers(self, request: Request) -> Completion:
        tries = 0
        while True:
            tries += 1
            began = time.perf_counter()
            try:
                answer = await self._answer(request)
            except Failure as failure:
                failure.tries = tries
                if not failure.passes or tries >= self._settings.max_tries:
                    raise
                first = self._settings.pause_seconds
                await self._sleep(pause(tries, first, failure.pause, self._rng))
                if self._lost.is_set():
                    raise
            else:
                self._health.worked()
                return self._completion(request, answer, time.perf_counter() - began, tries)

    async def _answer(self, request: Request) -> Answer:
        seconds = self._settings.timeout_seconds
        try:
            async with asyncio.timeout(seconds):
                body = await self._client.ask(self._parameters(request))
        except TimeoutError:
            raise self._explain.silent(seconds) from None
        if isinstance(body, dict) and body.get("error") and not body.get("choices"):
            raise self._explain.status(_code(body["error"]), body, {})  # with status 200
        try:
            return read(body, request.text)
        except NoAnswer as error:
            raise self._explain.bad_answer(str(error)) from None

    async def _sleep(self, seconds: float) -> None:
        """Ends early where all is lost."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._lost.wait(), seconds)

    def _parameters(self, request: Request) -> dict[str, Any]:
        settings = self._settings
        given: dict[str, Any] = {"model": settings.name}
        if settings.api == "chat":
            given["messages"] = conversation(request, settings.prefill)
        else:
            given["prompt"] = transcript(request)
        given[settings.max_tokens_field] = settings.max_new_tokens
        for name in ("temperature", "top_p"):
            if (value := getattr(settings, name)) is not None:
                given[name] = value
        if settings.seed:
            given["seed"] = request.seed % _SEEDS
        if settings.extra_body:
            given["extra_body"] = settings.extra_body
        return given

    def _completion(
        self, request: Request, answer: Answer, seconds: float, tries: int
    ) -> Completion:
        text = self._redactor.hide(answer.text)  # an endpoint may say anything, our key included
        end = request.stop(text) if request.stop is not None else None
        counts = answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens
        return Completion(
            text=text if end is None else text[:end],
            prompt_tokens=answer.prompt_tokens,
            cached_tokens=answer.cached_tokens,
            completion_tokens=answer.completion_tokens,
            finish_reason=answer.finish_reason if end is None or answer.error else "stop",
            latency=seconds,
            cost=self._prices.cost(*counts) if self._prices is not None else 0.0,
            tries=tries,
            error=f"model {self.name}: {answer.error}" if answer.error else "",
        )

    def _error(self, reason: str, tries: int) -> Completion:
        return Completion(
            text="",
            prompt_tokens=0,
            completion_tokens=0,
            finish_reason="error",
            tries=tries,
            error=reason,
        )


def conversation(request: Request, prefill: bool) -> list[dict[str, str]]:
    """The turns of a request, as endpoints take them."""
    turns = [{"role": turn.role, "content": turn.content} for turn in request.messages]
    if not turns:
        turns = [{"role": "user", "content": request.prompt}]
    if prefill and request.prefill:
        turns.append({"role": "assistant", "content": request.prefill})
    return turns


def transcript(request: Request) -> str:
    """A request as one text to be continued; the endpoint's own template is not known here."""
    if not request.messages:
        return request.prompt
    turns = "".join(f"### {turn.role}\n{turn.content}\n\n" for turn in request.messages)
    return f"{turns}### assistant\n{request.prefill}"


def _code(error: object) -> int:
    """The status in an error that came with status 200."""
    code = error.get("code") if isinstance(error, dict) else None
    return code if isinstance(code, int) and 300 <= code < 600 else 500
