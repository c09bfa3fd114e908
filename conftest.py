"""What takes longest starts first, lest one core idles while the last test runs alone."""

from __future__ import annotations

import signal

import pytest


def pytest_configure() -> None:
    """Let tests interrupt what they start: what a shell runs with ``&`` ignores Ctrl-C."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that are marked as slow before all others."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
