"""What a rank above 0 does: it finds rank 0, and makes parts until the run is over."""

from __future__ import annotations

import os
import sys
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from elm.build import build_environment
from elm.sampler.job import Workshop, build, job_of
from elm.sampler.link import Curve
from elm.sampler.meeting import Meeting
from elm.sampler.messages import Job
from elm.sampler.rank import Rank
from elm.sampler.service import serve
from sandbox.keys import KeyPair

if TYPE_CHECKING:
    from elm.config import Settings


def serve_rank(settings: Settings, rank: Rank) -> dict[str, Any]:
    """See `elm.sampler.serve_rank`."""
    job = job_of(settings, build_environment(settings.environment))
    own = KeyPair.new()
    meeting = Meeting(rank)
    building = _begin(job)

    def raise_what_failed() -> None:
        if building.done():
            building.result()

    place = meeting.enter(own.public, raise_what_failed)
    if place.over:
        # A short run, which did not wait for this rank.
        return _end(rank, 0, busy=not building.done())
    outcome = serve(
        f"tcp://{place.host}:{place.port}",
        name=f"rank {rank.number}",
        curve=Curve(own, place.key),
        job=job,
        builder=lambda same: building.result(),
        bound=True,
        over=lambda: meeting.over,
    )
    if outcome.interrupted:
        raise KeyboardInterrupt
    return _end(rank, outcome.parts, busy=outcome.busy or not building.done())


def _begin(job: Job) -> Future[Workshop]:
    """Builds in a thread, while rank 0 does the same."""
    future: Future[Workshop] = Future()

    def work() -> None:
        try:
            future.set_result(build(job))
        except BaseException as error:  # raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=work, name="builder", daemon=True).start()
    return future


def _end(rank: Rank, parts: int, *, busy: bool) -> dict[str, Any]:
    if busy:
        # A thread makes what nobody wants any more. The interpreter must neither wait for it nor
        # tear torch down under it.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
    return {"rank": rank.number, "parts": parts}
