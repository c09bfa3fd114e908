"""What takes longest starts first, lest one core idles while the last test runs alone."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that are marked as slow before all others."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
