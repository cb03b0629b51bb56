"""How choices are shared out among arms: operators of a mixture, models of an ensemble."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from elm.allocation.bandits import Bandit, thompson, ucb
from elm.allocation.base import Allocation, Outcome
from elm.allocation.reward import COSTS, REWARDS, CostName, RewardName
from elm.allocation.weighted import Weighted
from environments.construct import suggestion

__all__ = ["Allocation", "AllocationSettings", "Outcome", "build"]

Positive = Annotated[float, Meta(gt=0)]


class AllocationSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How arms are chosen. All but `policy` say nothing where it is "weights"."""

    policy: Literal["weights", "ucb", "thompson"] = "weights"
    reward: RewardName = "entered"
    cost: CostName = "none"  # what rewards are divided by
    floor: Annotated[float, Meta(ge=0, le=1)] = 0.05  # least share of each arm
    exploration: Positive = 1.414  # of ucb: factor of its bonus
    sigma: Positive | None = None  # of thompson; None: 0.5 for entered, which is 0 or 1, else 0.1


def build(
    settings: Mapping[str, Any],
    arms: Sequence[str],
    weights: Sequence[float] | None = None,
    *,
    section: str = "allocation",
) -> Allocation:
    """An allocation among arms.

    Args:
        settings: see `AllocationSettings`.
        arms: their names, no two alike.
        weights: of each arm, for the policy of that name; None: all alike.
        section: the key under which the settings stand, for messages.

    Raises:
        ValueError: for an unknown setting or a wrong value, in one line with its key.
    """
    checked = _read(settings, section)
    if not arms or len(set(arms)) < len(arms):
        raise ValueError(f"{section}: expected arms of different names, got {list(arms)}")
    try:
        if checked.policy == "weights":
            return Weighted(arms, [1.0] * len(arms) if weights is None else weights)
        sigma = checked.sigma or (0.5 if checked.reward == "entered" else 0.1)
        return Bandit(
            arms,
            ucb(checked.exploration) if checked.policy == "ucb" else thompson(sigma),
            floor=checked.floor,
            reward=REWARDS[checked.reward],
            cost=None if checked.cost == "none" else COSTS[checked.cost],
        )
    except ValueError as error:
        raise ValueError(f"{section}.{error}") from None


def _read(settings: Mapping[str, Any], section: str) -> AllocationSettings:
    known = AllocationSettings.__struct_fields__
    for key in settings:
        if key not in known:
            raise ValueError(
                f"{section}.{key}: unknown setting, known: {', '.join(known)}"
                f"{suggestion(key, known)}"
            )
    try:
        return msgspec.convert(dict(settings), AllocationSettings)
    except msgspec.ValidationError as error:
        message, _, where = str(error).partition(" - at `$.")
        key = re.split(r"[`.\[]", where)[0]
        got = settings.get(key)
        message = re.sub(
            r"^Expected", "expected", re.sub(r", got `\w+`|Invalid enum.*", "", message)
        )
        if key in ("policy", "reward", "cost"):
            words = {"policy": ("weights", "ucb", "thompson"), "reward": REWARDS, "cost": COSTS}[
                key
            ]
            message = f"expected one of {', '.join(words)}"
        raise ValueError(f"{section}.{key}: {message}, got {got!r}") from None
