"""An experiment whose trials are in a database is used as any other, by its folder or its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nas_search.testing import Server, postgresql_programs, postgresql_server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL here (apt-get install postgresql)")
    with postgresql_server(programs) as started:
        yield started


def test_every_command_finds_its_trials(nas: Any, search: Any, server: Server) -> None:
    url = server.new_database()
    search(max_trials=3)
    result = nas("run", "search.toml", "--set", f"store={url}", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["completed"] == 3
    assert not Path("nas-experiments/sizes/trials.sqlite").exists()
    (row,) = json.loads(nas("list-experiments", "--json").stdout)
    assert (row["name"], row["completed"], row["running"]) == ("sizes", 3, 0)
    (best,) = json.loads(nas("top", "nas-experiments/sizes", "-k", "1", "--json").stdout)
    shown = json.loads(nas("show", "sizes", best["number"], "--json").stdout)
    assert shown["metrics"] == best["metrics"]
    assert nas("export", "sizes", "--output", "memory://exported").exit_code == 0
    again = nas("resume", "sizes", "--max-trials", "5", "--json")
    assert json.loads(again.stdout)["completed"] == 5
    joined = nas("run", "search.toml", "--set", f"store={url}")
    assert joined.exit_code == 3
    assert "exists already, with 5 trials" in joined.stderr


def test_one_that_was_begun_elsewhere_is_resumed_by_its_file(
    nas: Any, search: Any, server: Server
) -> None:
    store = f"store={server.new_database()}"
    search(max_trials=3)
    assert nas("run", "search.toml", "--set", store).exit_code == 0
    # As on another machine, which has no folder of it.
    elsewhere = ("search.toml", "--set", store, "--set", "directory=elsewhere")
    refused = nas("run", *elsewhere)
    assert refused.exit_code == 3
    assert "by resume() (`nas resume search.toml`)" in refused.stderr
    assert not Path("elsewhere").exists()
    result = nas("resume", *elsewhere, "--max-trials", "5", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["completed"] == 5
    assert json.loads(nas("top", "elsewhere/sizes", "-k", "1", "--json").stdout)
    named = nas("resume", "search.toml", "--set", store, "--set", "name=other")
    assert named.exit_code == 3
    assert "'other'" in named.stderr


def test_what_is_wrong_with_a_database_is_one_line(nas: Any, search: Any, server: Server) -> None:
    search()
    secret = "hush"
    away = f"postgresql://me:{secret}@127.0.0.1:1/nas"
    for url, code, words in (
        (away, 3, "the database can't be reached"),
        (server.url("nowhere"), 3, "create it (createdb)"),
        ("mysql://me@host/nas", 2, "no database of the kind 'mysql'"),
    ):
        result = nas("run", "search.toml", "--set", f"store={url}")
        assert result.exit_code == code, result.output
        assert words in result.stderr
        assert secret not in result.output
    config = Path("search.toml")
    config.write_text(f'store = "mysql://me@host/nas"\n{config.read_text()}')
    assert "search.toml:1: store: no database" in nas("run", "search.toml").stderr


def test_an_export_to_a_url_has_all_files(nas: Any, search: Any, tmp_path: Path) -> None:
    search()
    assert nas("run", "search.toml").exit_code == 0
    result = nas("export", "sizes", "--output", f"file://{tmp_path}/out")
    assert result.exit_code == 0, result.output
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".safetensors"}
    unknown = nas("export", "sizes", "--output", "s4://bucket")
    assert unknown.exit_code == 3
    assert "Protocol not known: s4; --output names another folder" in unknown.stderr
