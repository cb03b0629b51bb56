"""An environment for reports: two axes, and pictures that try to break the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from environments.base import Axis, Environment, Objective, Program, Seed


class Pictures(Environment):
    name = "pictures"
    version = 3
    axes = (Axis("height", 0.0, 10.0, 5, "m"), Axis("<b>width</b>", 0.0, 4.0, 4))
    objective = Objective("distance", f_min=-1.0, unit="m")
    producer_modules: ClassVar[tuple[str, ...]] = ("none",)
    judge_modules: ClassVar[tuple[str, ...]] = ("none",)

    def __init__(self, picture: str = "svg") -> None:
        self._picture = picture

    def seeds(self) -> Sequence[Seed]:
        return [Seed("first", Program({"p.py": "x = 0\n"}))]

    def render(self, artifact: Any) -> str | None:
        if self._picture == "broken":
            raise RuntimeError("no <ink> left")
        if self._picture == "none":
            return None
        return (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 4 2"><script>alert(1)</script>'
            f'<text y="1">drawn {artifact}</text></svg>'
        )
