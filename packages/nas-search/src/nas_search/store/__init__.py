"""The trial store: the single record of truth, in a file or in a database.

``trials.py`` has what it does, ``tables.py`` what is in it, and ``sqlite.py`` and ``postgresql.py``
what differs between the two.
"""

from nas_search.store.address import (
    RECORD,
    STORE,
    Address,
    Database,
    address_of,
    experiment_folders,
    record,
    recorded,
)
from nas_search.store.errors import StoreError, StoreExistsError, StoreMissingError
from nas_search.store.records import Event, Report, State, Trial
from nas_search.store.trials import TrialStore, is_stored

__all__ = [
    "RECORD",
    "STORE",
    "Address",
    "Database",
    "Event",
    "Report",
    "State",
    "StoreError",
    "StoreExistsError",
    "StoreMissingError",
    "Trial",
    "TrialStore",
    "address_of",
    "experiment_folders",
    "is_stored",
    "record",
    "recorded",
]
