from pathlib import Path

import pytest
from command import Command


@pytest.fixture
def elm(tmp_path: Path) -> Command:
    return Command(tmp_path / "runs")
