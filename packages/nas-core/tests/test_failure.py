"""An exception in one line: what it says, and the line of the user's code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from nas_core.errors import NasError
from nas_core.failure import failure_text, place_of


def test_the_place_is_the_users_line_not_that_of_the_library() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.nn.Linear(2, 2)(torch.zeros(3, 3))
    place = place_of(caught.value)
    assert place is not None
    assert Path(place.file).name == "test_failure.py"
    with pytest.raises(ValueError, match="Expecting") as raised:
        json.loads("nonsense")
    assert "test_failure.py:" in failure_text(raised.value)


def test_files_below_the_current_folder_are_named_from_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code = compile("1 / 0", str(tmp_path / "models" / "net.py"), "exec")
    with pytest.raises(ZeroDivisionError) as caught:
        exec(code, {"__name__": "net"})
    place = place_of(caught.value)
    assert str(place) == str(Path("models") / "net.py") + ":1"


def raised_in(*packages: str) -> Exception:
    """An exception on its way through functions of these packages, outermost first."""
    act = None
    for package in reversed(packages):
        scope = {"__name__": package, "act": act}
        source = "def call():\n    act() if act else 1 / 0\n"
        exec(compile(source, f"/{package}.py", "exec"), scope)
        act = scope["call"]
    with pytest.raises(ZeroDivisionError) as caught:
        act()
    # The first line is this test's own.
    return caught.value.with_traceback(caught.tb.tb_next)


@pytest.mark.parametrize(
    ("packages", "place"),
    [
        (["nas_core.candidate", "my.net", "nas_engine_py.engine"], "/my.net.py:2"),
        (["my.main", "nas_core.candidate", "my.net", "nas_search.work"], "/my.net.py:2"),
        (["nas_core.plugins", "nas_engine_mine.plugin"], "/nas_engine_mine.plugin.py:2"),
        (["nas_core.plugins"], "None"),
        (["nas_core.candidate", "nas_search.evaluators.training"], "None"),
        (["nas_engine_mine.job", "nas_core.candidate"], "None"),
        (["nas_engine_mine.job", "nas_search.evaluators.training", "my.net"], "/my.net.py:2"),
    ],
)
def test_the_users_lines_tell_most_and_our_own_nothing(packages: list[str], place: str) -> None:
    assert str(place_of(raised_in(*packages))) == place


def test_a_place_in_the_message_is_not_repeated() -> None:
    with pytest.raises(NasError) as caught:
        raise NasError("bad")
    place = place_of(caught.value)
    assert failure_text(caught.value) == f"NasError: bad ({place})"
    caught.value.args = (f"bad (at {place})",)
    assert failure_text(caught.value) == f"NasError: bad (at {place})"
