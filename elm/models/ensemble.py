"""Several language models that write one run, each its share of the children."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

import msgspec

import elm.allocation
from elm.allocation import Allocation
from elm.models.base import Completion, FatalModelError, LanguageModel, ModelError, Request

Build = Callable[[dict[str, Any]], LanguageModel | None]


class EnsembleSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which models, and how children are shared out among them; see configs/model/ensemble.yaml."""

    kind: Literal["ensemble"]
    name: str = "ensemble"
    members: dict[str, dict[str, Any]]
    policy: str = "weights"
    reward: str = "gain"
    cost: str = "none"
    floor: float = 0.05

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise ValueError(
                "model.members: expected at least two, for instance "
                "{fast: {kind: openai, name: ...}, strong: {kind: openai, name: ..., weight: 0.2}}"
            )
        for name, member in self.members.items():
            if member.get("kind") in ("ensemble", "none"):
                raise ValueError(f"model.members.{name}.kind: {member['kind']!r} is no member")
            weight = member.get("weight", 1.0)
            good = isinstance(weight, int | float) and not isinstance(weight, bool)
            if not (good and 0 <= weight < math.inf):
                raise ValueError(
                    f"model.members.{name}.weight: expected a number of 0 or more, got {weight!r}"
                )


class Ensemble(LanguageModel):
    """Hands each request to the member that it names, or to one drawn by weight from its seed.

    Members work at the same time, each in the ways of its own kind. What fails with one member is
    an error of its requests alone.

    Where members on this machine make fixed micro-batches, the ensemble is asked for as many
    requests at one time as the largest of these, by one thread; its endpoints still work on all
    of theirs at once.
    """

    def __init__(
        self,
        name: str,
        members: Mapping[str, LanguageModel],
        weights: Mapping[str, float],
        allocation: Allocation,
    ) -> None:
        self.name, self.allocation = name, allocation
        self._members = dict(members)
        self._names = list(members)
        self._weights = [weights[each] for each in self._names]
        models = list(members.values())
        self.active_parameters = {
            each: next(iter(model.active_parameters.values()), None)
            for each, model in members.items()
        }
        units = [model.unit for model in models if model.lanes == 1]
        if not units:
            self.unit, self.lanes = 1, max(model.lanes for model in models)
        else:
            self.unit = None if None in units else max(unit for unit in units if unit is not None)
            self.lanes = 1
        self.continues = all(model.continues for model in models)
        self.prefills = all(model.prefills for model in models)
        self.priced = all(model.priced for model in models)
        self.reproducible = all(model.reproducible for model in models)
        self._fatal = ""

    def complete(self, requests: Sequence[Request]) -> list[Completion]:
        """One completion for each request, in their order. See `LanguageModel`."""
        if self._fatal:
            raise FatalModelError(self._fatal)
        groups: dict[str, list[int]] = {}
        for index, request in enumerate(requests):
            groups.setdefault(request.model or self._drawn(request.seed), []).append(index)
        parts = [(name, [requests[index] for index in each]) for name, each in groups.items()]
        done: dict[int, Completion] = {}
        for indices, made in zip(groups.values(), self._together(parts), strict=True):
            done.update(zip(indices, made, strict=True))
        if self._fatal and all(each.finish_reason == "error" for each in done.values()):
            raise FatalModelError(self._fatal)
        return [done[index] for index in range(len(requests))]

    def close(self) -> None:
        for member in self._members.values():
            member.close()

    def _drawn(self, seed: int) -> str:
        return random.Random(f"ensemble {seed}").choices(self._names, self._weights)[0]

    def _together(self, parts: list[tuple[str, list[Request]]]) -> list[list[Completion]]:
        if len(parts) < 2:
            return [self._ask(*part) for part in parts]
        # Not kept between calls: as many threads may call as there are lanes.
        with ThreadPoolExecutor(len(parts), thread_name_prefix=self.name) as pool:
            return [future.result() for future in [pool.submit(self._ask, *p) for p in parts]]

    def _ask(self, name: str, requests: Sequence[Request]) -> list[Completion]:
        if name not in self._members:
            known = ", ".join(self._members)
            return [_error(name, f"ensemble: no member {name!r}, only {known}") for _ in requests]
        plain = [msgspec.structs.replace(request, model="") for request in requests]
        try:
            completions = self._members[name].complete(plain)
        except FatalModelError as error:
            self._fatal = f"model.members.{name}: {error}"
            return [_error(name, self._fatal) for _ in requests]
        except ModelError as error:
            return [_error(name, f"model.members.{name}: {error}") for _ in requests]
        return [msgspec.structs.replace(each, model=name) for each in completions]


def _error(name: str, reason: str) -> Completion:
    return Completion(
        text="",
        prompt_tokens=0,
        completion_tokens=0,
        finish_reason="error",
        model=name,
        error=reason,
    )


def load(settings: EnsembleSettings, build: Build) -> Ensemble:
    """The ensemble of a configuration.

    Args:
        build: makes one member from its settings.

    Raises:
        ModelError: if a member cannot be had, with its key.
    """
    weights = {name: float(each.get("weight", 1.0)) for name, each in settings.members.items()}
    shares = {"policy": settings.policy, "reward": settings.reward, "cost": settings.cost}
    members: dict[str, LanguageModel] = {}
    try:
        allocation = elm.allocation.build(
            shares | {"floor": settings.floor},
            list(weights),
            list(weights.values()),
            section="model",
        )
        for name, each in settings.members.items():
            member = build({key: value for key, value in each.items() if key != "weight"})
            assert member is not None  # "none" was refused above
            members[name] = member
    except (ModelError, ValueError) as error:
        for member in members.values():
            member.close()
        if isinstance(error, ModelError):
            said = str(error).removeprefix("model.")
            dot = "." if said != str(error) else ": "
            raise ModelError(f"model.members.{name}{dot}{said}") from None
        raise ModelError(str(error)) from None
    ensemble = Ensemble(settings.name, members, weights, allocation)
    if settings.cost == "money" and not ensemble.priced:
        unknown = ", ".join(name for name, member in members.items() if not member.priced)
        ensemble.close()
        raise ModelError(f"model.cost=money needs prices, and those of {unknown} are unknown")
    return ensemble
