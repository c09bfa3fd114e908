"""``nas new-engine``: what it writes and what it refuses. ``tests/test_plugins.py`` installs it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest


def written(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_is_written_is_named_after_the_engine(nas: Any, folder: Path) -> None:
    result = nas("new-engine", "tpu-pod")
    made = written(folder / "nas-engine-tpu-pod")
    assert result.exit_code == 0
    assert sorted(result.output.split("\n\n")[0].splitlines()) == sorted(
        f"nas-engine-tpu-pod/{path}" for path in made
    )
    assert made.keys() >= {
        "CHANGELOG.md",
        "README.md",
        "src/nas_engine_tpu_pod/py.typed",
        "tests/test_engine.py",
    }
    project = tomllib.loads(made["pyproject.toml"])["project"]
    assert project["name"] == "nas-engine-tpu-pod"
    assert project["license"] == "MIT"
    assert project["entry-points"] == {"nas": {"tpu-pod": "nas_engine_tpu_pod.plugin"}}
    assert "class TpuPodEngine:" in made["src/nas_engine_tpu_pod/engine.py"]
    assert 'engine_name = "tpu-pod"' in made["tests/test_engine.py"]
    assert not any(re.search("stencil", path + text, re.IGNORECASE) for path, text in made.items())


def test_the_name_of_the_distribution_means_the_same(nas: Any, folder: Path) -> None:
    nas("new-engine", "mine", "--output", "one")
    nas("new-engine", "nas-engine-mine", "--output", "deep/two")
    assert written(folder / "one") == written(folder / "deep" / "two")


@pytest.mark.parametrize("there", ["file", "folder", "link"])
def test_what_is_there_is_not_touched(there: str, nas: Any, folder: Path) -> None:
    target = folder / "nas-engine-mine"
    match there:
        case "file":
            target.write_text("mine")
        case "folder":
            target.mkdir()
        case _:
            target.symlink_to("nowhere")
    result = nas("new-engine", "mine")
    assert result.exit_code == 2
    assert "'nas-engine-mine' is there already; --output names another folder" in result.output
    assert list(folder.rglob("*")) == [target]


def test_nothing_is_left_of_what_could_not_be_written(
    nas: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, calls = Path.write_text, []

    def full(path: Path, *args: Any, **kwargs: Any) -> int:
        calls.append(path)
        if len(calls) == 4:
            raise OSError(28, "No space left on device", str(path))
        return write(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    result = nas("new-engine", "mine")
    assert result.exit_code
    assert "No space left on device" in result.output
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("My_Engine", "'My_Engine' can't name an engine: lower-case letters"),
        ("My_Engine", "did you mean 'my-engine'?"),
        ("2d", "did you mean 'd'?"),
        ("a.b", "did you mean 'a-b'?"),
        ("a--b", "did you mean 'a-b'?"),
        ("nas-engine-", "'nas-engine-' can't name an engine"),
        ("../mine", "did you mean 'mine'?"),
        ("mine\n", "did you mean 'mine'?"),
        ("py", "there is an engine 'py' already: nas-engine-py brings it"),
        ("nas-engine-py", "there is an engine 'py' already"),
    ],
)
def test_a_bad_name_is_refused(name: str, message: str, nas: Any, folder: Path) -> None:
    result = nas("new-engine", name)
    assert result.exit_code == 2
    assert message in result.output
    assert list(folder.iterdir()) == []


def test_the_name_of_a_broken_plugin_is_taken(nas: Any, add_plugin: Any, monkeypatch: Any) -> None:
    site = add_plugin("late", "raise RuntimeError('no licence')\n")
    monkeypatch.syspath_prepend(site)
    assert "there is an engine 'late' already: late brings it" in nas("new-engine", "late").output
