"""The order of files when several processes share them."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    # By default files with many tests go first, and the longest of ours have few.
    config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests go first, so that no process is left alone with one in the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
