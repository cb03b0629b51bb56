"""Those who make a run's blocks: threads here, ranks of a launcher, processes that join.

Importing this package opens nothing and loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from elm.sampler.base import MadePart, Part, Samplers
from elm.sampler.local import LocalSampler

if TYPE_CHECKING:
    from elm.config import Settings
    from elm.sampler.messages import Job
    from elm.sampler.rank import Rank
    from elm.sampler.settings import SamplerSettings
    from elm.variation.base import Operator

__all__ = ["LocalSampler", "MadePart", "Part", "Samplers", "open_samplers", "serve_rank"]


def open_samplers(
    settings: SamplerSettings,
    operator: Operator,
    lanes: int,
    clock: Callable[[], float],
    job: Job,
    rank: Rank | None = None,
    *,
    parts: int = 0,
) -> Samplers:
    """Those who make a run's parts. Where nobody else is asked for, they are threads here alone.

    Args:
        settings: the section `samplers`, as `elm.sampler.settings.read` gives it.
        operator: of this process.
        lanes: parts that it makes at one time.
        clock: the run's, in seconds.
        job: what samplers elsewhere build, as `elm.sampler.job.job_of` gives it.
        rank: of this process, number 0; None where there is no launcher.
        parts: that can be under way at one time, (1 + lookahead) blocks of them; 0: unknown.

    Raises:
        SamplerError: if nobody could reach this run where its settings say so, or nobody at all
            is to make parts.
    """
    if rank is None and settings.listen is None and settings.most == 1:
        if not settings.here:
            from elm.sampler.rank import SamplerError

            raise SamplerError(
                "samplers.here: 0 leaves this run without a sampler; set samplers.listen, where "
                "others join, or samplers.most, or start several ranks"
            )
        return LocalSampler(operator, clock, lanes)
    from elm.sampler.studio import Studio

    return Studio(settings, operator, lanes, clock, job, rank, parts)


def serve_rank(settings: Settings, rank: Rank) -> dict[str, Any]:
    """Makes parts for rank 0 until its run is over; for ranks above 0.

    Returns:
        "rank", and "parts": how many it has made.

    Raises:
        SamplerError: if rank 0 cannot be found, is gone, or was started with other settings.
        ConfigError, ModelError: if the operator cannot be built here.
    """
    from elm.sampler.ranks import serve_rank

    return serve_rank(settings, rank)
