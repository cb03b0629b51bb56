"""What evaluators import as `openevolve.evaluation_result`: metrics, and texts beside them.

Written anew after the interface that OpenEvolve documents; a jail holds this one in its place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class EvaluationResult:
    """Numbers by name, and whatever else an evaluator has to tell, by name."""

    metrics: dict[str, float]
    artifacts: dict[str, str | bytes] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, metrics: Mapping[str, float]) -> EvaluationResult:
        """Metrics without artifacts."""
        return cls(metrics=dict(metrics))

    def to_dict(self) -> dict[str, float]:
        """The metrics alone."""
        return self.metrics

    def has_artifacts(self) -> bool:
        """Whether there is anything beside the metrics."""
        return len(self.artifacts) > 0

    def get_artifact_keys(self) -> list[str]:
        """Names of the artifacts."""
        return list(self.artifacts)

    def get_artifact_size(self, key: str) -> int:
        """Bytes of one artifact, 0 where there is none of the name."""
        if key not in self.artifacts:
            return 0
        value = self.artifacts[key]
        return len(value if isinstance(value, bytes) else str(value).encode())

    def get_total_artifact_size(self) -> int:
        """Bytes of all artifacts."""
        return sum(map(self.get_artifact_size, self.artifacts))
