"""Every link from a document to a file of the project leads somewhere, to its headings too."""

import re
from pathlib import Path

import pytest
from documents import DOCUMENTS, ROOT, prose

LINK = re.compile(r"\]\((?!\w+:)(?P<path>[^)#\s]*)(?:#(?P<heading>[^)\s]+))?\)")
CODE = re.compile(r"`[^`\n]*`")  # `layers[:2](x)` is no link


def anchors(path: Path) -> set[str]:
    """Give the anchors of a file's headings, as forges make them."""
    headings = re.findall(r"^#+ (.+)$", prose(path.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in LINK.finditer(CODE.sub("", prose(document.read_text()))):
        target = document.parent / link["path"] if link["path"] else document
        assert target.exists(), f"{link[0]}: there is no {target}"
        assert link["heading"] is None or link["heading"] in anchors(target), link[0]


def test_the_index_of_decisions_is_complete() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = re.findall(
        r"^(\d+)\. \[(.+)\]\((.+)\)$", (folder / "README.md").read_text(), re.MULTILINE
    )
    titles = [(path, path.read_text().partition("\n")[0]) for path in sorted(folder.glob("0*.md"))]
    assert [(path.name, title) for path, title in titles] == [
        (name, f"# {number}. {title}") for number, title, name in listed
    ]
