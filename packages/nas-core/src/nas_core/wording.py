"""How trials are put into words, the same in every table, line and page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "architecture_text",
    "duration_text",
    "first_line",
    "metrics_text",
    "note_text",
    "number_text",
    "printable",
    "value_text",
]


def printable(value: object) -> str:
    r"""The value as text that can't steer a terminal; line ends stay.

    >>> printable("red: \x1b[31m")
    'red: \\x1b[31m'
    """
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in str(value)
    )


def number_text(number: float | None) -> str:
    """A metric to five significant digits; JSON, as which it is stored, has only finite numbers.

    >>> number_text(0.971234567), number_text(12345678), number_text(3.0), number_text(None)
    ('0.97123', '12345678', '3', 'nan')
    """
    if number is None:
        return "nan"
    if float(number).is_integer() and abs(number) < 1e12:
        return str(int(number))
    return f"{number:.5g}"


def metrics_text(metrics: Mapping[str, float] | None) -> str:
    """All metrics on one line.

    >>> metrics_text({"accuracy": 0.9712, "loss": 0.1})
    'accuracy=0.9712 loss=0.1'
    """
    if not metrics:
        return "-"
    return " ".join(f"{printable(name)}={number_text(value)}" for name, value in metrics.items())


def value_text(value: Any) -> str:
    """A value of a choice; text without quotes where that is not ambiguous.

    >>> value_text("conv"), value_text("2"), value_text([0, 2]), value_text(True)
    ('conv', '"2"', '[0,2]', 'true')
    """
    if isinstance(value, str) and value.isidentifier():
        return value if value not in ("true", "false", "null") else json.dumps(value)
    return printable(json.dumps(value, separators=(",", ":"), ensure_ascii=False))


def architecture_text(architecture: Mapping[str, Any]) -> str:
    """All decisions on one line.

    >>> architecture_text({"width": 32, "body": "conv"})
    'width=32 body=conv'
    """
    text = " ".join(
        f"{printable(label)}={value_text(value)}" for label, value in architecture.items()
    )
    return text or "(no choices)"


def duration_text(seconds: float | None) -> str:
    """A duration for people.

    >>> duration_text(0.42), duration_text(75), duration_text(7384), duration_text(None)
    ('0.4s', '1m15s', '2h03m', '-')
    """
    if seconds is None:
        return "-"
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02}s"
    return f"{minutes // 60}h{minutes % 60:02}m"


def note_text(numbers: Sequence[int], note: str) -> str:
    """What a job says of its trials.

    >>> note_text((4, 5, 6), "3 trained as one"), note_text((4,), "alone")
    ('trials 4 to 6: 3 trained as one', 'trial 4: alone')
    """
    low, high = min(numbers), max(numbers)
    named = f"trial {low}" if low == high else f"trials {low} to {high}"
    return f"{named}: {first_line(note)}"


def first_line(text: str | None) -> str:
    """The first line of a message, for a table.

    >>> first_line("ValueError: bad (net.py:41)\\nmore")
    'ValueError: bad (net.py:41)'
    """
    return printable((text or "").strip().partition("\n")[0])
