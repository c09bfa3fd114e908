"""Whether there is an experiment where one is to be run, resumed or looked at."""

from __future__ import annotations

from pathlib import Path

from nas_core.errors import nearest

from nas_search.lock import refuse_if_locked
from nas_search.store import (
    Address,
    Database,
    StoreError,
    TrialStore,
    experiment_folders,
    is_stored,
    recorded,
)

__all__ = ["find", "require_existing", "require_new"]


def require_new(folder: Path, address: Address, file: str = "") -> None:
    """Refuse to run an experiment that has trials, unless it runs in a database: others may join.

    One without trials has just been made, in a database perhaps by one that is about to run it.
    ``file`` is its configuration: it resumes what this folder does not know yet.

    Raises:
        StoreError: it has.
    """
    if not is_stored(address):
        return
    if not isinstance(address, Database):
        refuse_if_locked(folder)
    with TrialStore.open(address, read_only=True) as store:
        trials = len(store.trials())
        if not trials or store.is_running:
            return
    known = folder if recorded(folder) is not None else file
    how = f" (`nas resume {known}`)" if known else ""
    raise StoreError(
        folder,
        f"the experiment exists already, with {trials} trials: go on with it by resume(){how}, "
        "or give this one another name",
    )


def require_existing(folder: Path, address: Address) -> None:
    """Refuse to resume what is not there.

    Raises:
        StoreError: it is not.
    """
    if isinstance(address, Database):
        TrialStore.open(address, read_only=True).close()
    elif not is_stored(address):
        raise _nothing_in(folder)


def find(folder: Path) -> Address:
    """The address of the experiment in a folder.

    Raises:
        StoreError: there is none.
    """
    address = recorded(folder)
    if address is None:
        raise _nothing_in(folder)
    return address


def _nothing_in(folder: Path) -> StoreError:
    there = [other.name for other in experiment_folders(folder.parent)]
    return StoreError(folder, f"there is no experiment here{nearest(folder.name, there)}")
