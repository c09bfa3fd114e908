"""The Markdown files of the project, and what stands in them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for pattern in (
        "*.md",
        "benchmarks/*.md",
        "docs/**/*.md",
        "packages/*/*.md",
        "examples/**/*.md",
    )
    for path in ROOT.glob(pattern)
)
FENCE = re.compile(r'(?ms)^```(?P<language>\w*)(?: title="(?P<title>[^"]+)")?\n(?P<code>.*?)^```$')


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it shows if it has a title, its text and line."""

    language: str
    title: str | None
    code: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """Give the fenced blocks of a Markdown text in order."""
    for match in FENCE.finditer(text):
        line = text.count("\n", 0, match.start("code"))
        yield Block(match["language"], match["title"], match["code"], line)


def prose(text: str) -> str:
    """Give a Markdown text without its fenced blocks."""
    return FENCE.sub("", text)
