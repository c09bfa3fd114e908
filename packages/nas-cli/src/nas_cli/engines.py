"""``nas list-engines``: which engines are installed, and which plugins are broken and why.

It has to be instant, so it reads entry points and imports plugin modules, never an engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from nas_cli.command import command
from nas_cli.console import console, print_json, print_table, printable, results_only, table
from nas_cli.environment import DISABLE_PLUGINS, plugins

if TYPE_CHECKING:
    from nas_core.plugins import BrokenPlugin, DisabledPlugin, EngineRecord

__all__ = ["list_engines"]

_STYLES = {"ready": None, "broken": "red", "disabled": "dim"}


@command(
    "list-engines",
    examples=(
        "nas list-engines",
        "nas list-engines --json | jq '.[] | select(.state == \"broken\")'",
        f"{DISABLE_PLUGINS}=graph,cgo nas list-engines",
    ),
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_engines(as_json: bool) -> None:
    """List the execution engines that are installed.

    Broken plugins are listed with their reason; they hurt nothing else.
    """
    with results_only():
        rows = engine_rows()
    if as_json:
        print_json(rows)
    else:
        _print_rows(rows)


def engine_rows() -> list[dict[str, Any]]:
    """One row per engine, per broken and per disabled plugin."""
    found = plugins()
    ready = [
        _row(record.info.name, record, "ready")
        | {"capabilities": sorted(record.info.capabilities), "summary": record.info.summary}
        for _, record in sorted(found.engines.items())
    ]
    broken = [
        _row(plugin.name, plugin, "broken") | {"reason": plugin.reason} for plugin in found.broken
    ]
    disabled = [_row(plugin.name, plugin, "disabled") for plugin in found.disabled]
    return ready + broken + disabled


def _row(
    name: str, source: EngineRecord | BrokenPlugin | DisabledPlugin, state: str
) -> dict[str, Any]:
    return {
        "name": name,
        "distribution": source.distribution,
        "version": source.version,
        "state": state,
        "capabilities": [],
        "summary": None,
        "reason": None,
    }


def _print_rows(rows: list[dict[str, Any]]) -> None:
    out = console()
    shown = table("name", "distribution", "version", "state", "capabilities")
    for row in rows:
        cells = (row["name"], row["distribution"], row["version"], row["state"])
        capabilities = " ".join(row["capabilities"]) or "-"
        shown.add_row(*map(printable, cells), printable(capabilities), style=_STYLES[row["state"]])
    if rows:
        print_table(out, shown)
    if not any(row["state"] == "ready" for row in rows):
        out.print("No engine is ready: `pip install nas-engine-py` brings the default one.")
    for row in rows:
        if row["reason"]:
            out.print(f"\n{printable(row['name'])} is broken: {printable(row['reason'])}")
    if any(row["state"] == "disabled" for row in rows):
        out.print(f"\nDisabled by {DISABLE_PLUGINS}.")
