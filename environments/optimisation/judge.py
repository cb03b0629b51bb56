"""Scores a solution of a task, from the solution alone. Pure Python: no numpy, no rounding."""

from __future__ import annotations

from typing import Any

from environments.artifact import BadArtifact
from environments.optimisation.tasks import TASKS


def judge(artifact: Any, settings: dict[str, Any]) -> dict[str, Any]:
    """Fitness, descriptor, and both scores of a solution.

    Metrics: `strict` and `tolerant` scores, `value` (in the problem's own units, as it stands),
    `exact` (1 where the solution is valid as it stands) and what the problem adds.

    Raises:
        BadArtifact: if it is no solution, or breaks a constraint by more than the tolerance.
    """
    try:
        score = TASKS[settings["task"]].score(artifact)
    except ValueError as error:
        raise BadArtifact(str(error)) from None
    except OverflowError:  # of rationals: coordinates that differ by next to nothing
        raise BadArtifact("the value of the solution is too large for a float") from None
    return {
        "fitness": score.strict if settings["score"] == "strict" else score.tolerant,
        "descriptor": list(score.descriptor),
        "metrics": {
            "strict": score.strict,
            "tolerant": score.tolerant,
            "value": score.value,
            "exact": float(score.exact),
            **score.metrics,
        },
    }
