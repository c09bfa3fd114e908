"""Refuse a format in one way in all engines: with the reason, and the engines that have it."""

from __future__ import annotations

from collections.abc import Iterable

from nas_core.errors import UnsupportedFormatError, nearest
from nas_core.plugins import engines
from nas_core.protocols import EXPLANATIONS, FORMATS, GRAPH_FORMATS

__all__ = ["format_refused", "graph_format_refused", "require_explanation"]

_BRINGS_CODE = "pip install nas-engine-graph"


def format_refused(
    engine: str, formatter: str, supported: Iterable[str], reason: str
) -> UnsupportedFormatError:
    """The error of ``Engine.export`` for a format that the engine lacks.

    Args:
        engine: its name.
        formatter: what was asked for.
        supported: the formats that it has.
        reason: why it lacks one that other engines may have.

    >>> print(format_refused("py", "cod", ["dict", "instance"], "it keeps no source"))
    no export format is called 'cod'; did you mean 'code'? (formats: dict, instance, code)
    """
    if formatter not in FORMATS:
        return UnsupportedFormatError(
            f"no export format is called {formatter!r}{nearest(str(formatter), FORMATS)} "
            f"(formats: {', '.join(FORMATS)})"
        )
    able = [
        name
        for name, record in sorted(engines().items())
        if f"export-{formatter}" in record.info.capabilities
    ]
    if able:
        instead = f"installed engines that can: {', '.join(map(repr, able))}"
    elif formatter == "code":
        instead = f"no installed engine can: `{_BRINGS_CODE}` brings one"
    else:
        instead = "no installed engine can"
    return UnsupportedFormatError(
        f"the engine {engine!r} can't export {formatter!r}, only "
        f"{', '.join(supported) or 'nothing'}: {reason}; {instead}"
    )


def graph_format_refused(formatter: str) -> UnsupportedFormatError:
    """The error of ``Draws.draw`` for what is none of ``GRAPH_FORMATS``.

    >>> print(graph_format_refused("htm"))
    no graph format is called 'htm'; did you mean 'html'? (formats: text, source, dot, svg, html)
    """
    return UnsupportedFormatError(
        f"no graph format is called {formatter!r}{nearest(formatter, GRAPH_FORMATS)} "
        f"(formats: {', '.join(GRAPH_FORMATS)})"
    )


def require_explanation(formatter: str) -> None:
    """Refuse what is no format of ``Explains.explain``.

    >>> require_explanation("htlm")
    Traceback (most recent call last):
    nas_core.errors.UnsupportedFormatError: no explanation is in the format 'htlm'; did you mean \
'html'? (formats: text, source, html, svg)

    Raises:
        UnsupportedFormatError: it is none.
    """
    if formatter not in EXPLANATIONS:
        raise UnsupportedFormatError(
            f"no explanation is in the format {formatter!r}{nearest(str(formatter), EXPLANATIONS)} "
            f"(formats: {', '.join(EXPLANATIONS)})"
        )
