"""The guide to plugins shows, file by file, what ``nas new-engine`` writes."""

import subprocess
import sys
from pathlib import Path

from documents import ROOT, blocks


def test_the_guide_shows_what_is_written(tmp_path: Path) -> None:
    nas = Path(sys.executable).with_name("nas")
    subprocess.run([nas, "new-engine", "mine"], cwd=tmp_path, check=True, capture_output=True)
    guide = (ROOT / "docs" / "plugins.md").read_text()
    shown = {block.title: block.code for block in blocks(guide) if block.title}
    assert len(shown) == 4
    assert shown == {name: (tmp_path / name).read_text() for name in shown}
