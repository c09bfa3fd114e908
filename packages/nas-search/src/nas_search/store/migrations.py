"""From an older schema to the present one, in the caller's transaction: whole or not at all.

A migration is a function of the connection under the version that it leads to. It says what it
does in SQL of its own, since the tables that a later version has are not those that it makes.
Versions 1 and 2 had one experiment in an SQLite file and differ in the key of the reports only;
version 3 is the first one of other databases.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import Connection

__all__ = ["MIGRATIONS", "migrate"]


def migrate(connection: Connection, version: int) -> None:
    """Bring a schema of this version up to date."""
    for target, act in MIGRATIONS.items():
        if target > version:
            act(connection)


def _to_3(connection: Connection) -> None:
    """Many experiments in one database; no constraint on the states; checksums of weights."""
    for statement in TO_3:
        connection.exec_driver_sql(statement)


TO_3 = tuple(
    statement.strip()
    for statement in """
ALTER TABLE facts RENAME TO old_facts;
ALTER TABLE trials RENAME TO old_trials;
ALTER TABLE reports RENAME TO old_reports;
DROP INDEX IF EXISTS reports_of_trial;
CREATE TABLE experiments (
    id INTEGER NOT NULL, name TEXT NOT NULL, reported BIGINT NOT NULL,
    PRIMARY KEY (id), UNIQUE (name)
);
CREATE TABLE facts (
    experiment INTEGER NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
    PRIMARY KEY (experiment, name)
) WITHOUT ROWID;
CREATE TABLE trials (
    experiment INTEGER NOT NULL, number INTEGER NOT NULL, architecture TEXT NOT NULL,
    digest TEXT NOT NULL, seed BIGINT NOT NULL, state TEXT NOT NULL, session TEXT NOT NULL,
    metrics TEXT, error TEXT, details TEXT, seconds DOUBLE, created DOUBLE NOT NULL,
    started DOUBLE NOT NULL, finished DOUBLE, weights TEXT,
    PRIMARY KEY (experiment, number), UNIQUE (experiment, digest)
);
CREATE TABLE reports (
    experiment INTEGER NOT NULL, ordinal BIGINT NOT NULL, trial INTEGER NOT NULL,
    step BIGINT NOT NULL, metrics TEXT NOT NULL, made DOUBLE,
    PRIMARY KEY (experiment, ordinal)
) WITHOUT ROWID;
CREATE INDEX reports_of_trial ON reports (experiment, trial, made);
INSERT INTO experiments SELECT
    1,
    coalesce((SELECT json_extract(value, '$.name') FROM old_facts WHERE name = 'config'), '-'),
    (SELECT count(*) FROM old_reports);
INSERT INTO facts SELECT 1, name, value FROM old_facts WHERE name <> 'session';
INSERT INTO trials SELECT
    1, number, architecture, digest, seed, state, session, metrics, error, details, seconds,
    created, started, finished, NULL
FROM old_trials;
INSERT INTO reports SELECT 1, row_number() OVER (), trial, step, metrics, NULL FROM old_reports;
DROP TABLE old_facts;
DROP TABLE old_trials;
DROP TABLE old_reports;
""".strip().split(";")
    if statement
)


def _to_4(connection: Connection) -> None:
    """Pruned trials; when a trial ended, among the reports. Of the old ones: after its own last."""
    connection.exec_driver_sql("ALTER TABLE trials ADD COLUMN pruned TEXT")
    connection.exec_driver_sql("ALTER TABLE trials ADD COLUMN ended_after BIGINT")
    connection.exec_driver_sql(
        "UPDATE trials SET ended_after = coalesce((SELECT max(ordinal) FROM reports WHERE "
        "reports.experiment = trials.experiment AND reports.trial = trials.number), 0) "
        "WHERE state <> 'running'"
    )


MIGRATIONS: Mapping[int, Callable[[Connection], None]] = {3: _to_3, 4: _to_4}
"""By the version that they lead to, in its order."""
