"""The tables, the same in every database. One database may hold many experiments.

Every text of a user's own stands in them as JSON or as it is; no value is ever unpickled.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

__all__ = ["VERSION", "experiments", "facts", "metadata", "reports", "trials"]

VERSION = 4
"""Of the schema. A change of it is a migration: see ``migrations.py``."""

metadata = MetaData()

experiments = Table(
    "experiments",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    # How many reports there have been: the ordinal of the last one, never given twice.
    Column("reported", BigInteger, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("experiment", Integer, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
)

trials = Table(
    "trials",
    metadata,
    Column("experiment", Integer, primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("architecture", Text, nullable=False),
    Column("digest", Text, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("metrics", Text),
    Column("error", Text),
    Column("details", Text),
    Column("seconds", Double),
    Column("created", Double, nullable=False),
    Column("started", Double, nullable=False),
    Column("finished", Double),
    Column("weights", Text),
    Column("pruned", Text),
    # The ordinal of the report that was the last one when the trial ended.
    Column("ended_after", BigInteger),
    UniqueConstraint("experiment", "digest"),
)

reports = Table(
    "reports",
    metadata,
    Column("experiment", Integer, primary_key=True),
    Column("ordinal", BigInteger, primary_key=True),
    Column("trial", Integer, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("metrics", Text, nullable=False),
    Column("made", Double),
    Index("reports_of_trial", "experiment", "trial", "made"),
    sqlite_with_rowid=False,
)
