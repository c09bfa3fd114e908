"""The statements of the trial store, made once: to make one costs more than to run it."""

from __future__ import annotations

from sqlalchemy import (
    BindParameter,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from nas_search.store.tables import experiments, facts, reports, trials

# Names of their own: SQLAlchemy keeps those of the columns for the values of an INSERT.
EXPERIMENT: BindParameter[int] = bindparam("_experiment")
NUMBER: BindParameter[int] = bindparam("_number")
SESSION: BindParameter[str] = bindparam("_session")

_here = trials.c.experiment == EXPERIMENT
_running = trials.c.state == "running"
_this = and_(_here, trials.c.number == NUMBER)
_mine = and_(_this, _running, trials.c.session == SESSION)

NEW_EXPERIMENT = insert(experiments).values(reported=0)
EXPERIMENT_NAMED = select(experiments.c.id).where(experiments.c.name == bindparam("_name"))
NAMES = select(experiments.c.name)
LOCK = select(experiments.c.id).where(experiments.c.id == EXPERIMENT).with_for_update()

FACTS = select(facts.c.name, facts.c.value).where(facts.c.experiment == EXPERIMENT)
NEW_FACTS = insert(facts)
DROP_FACTS = delete(facts).where(
    facts.c.experiment == EXPERIMENT, facts.c.name.in_(bindparam("_names", expanding=True))
)

NEW_TRIAL = insert(trials)
LIKE_IT = select(trials.c.number, trials.c.digest, trials.c.state, trials.c.session).where(
    _here, or_(trials.c.number == NUMBER, trials.c.digest == bindparam("_digest"))
)
START_ANEW = update(trials).where(_this).values(session=SESSION, started=bindparam("_started"))

_columns = [c for c in trials.c if c.name not in ("experiment", "ended_after")]
ALL_TRIALS = select(*_columns).where(_here).order_by(trials.c.number)
ONE_TRIAL = select(*_columns).where(_this)
FINISHED = select(func.count().label("ended")).select_from(trials).where(_here, ~_running)

WHO_RUNS = select(trials.c.session).distinct().where(_here, _running)
RELEASE = (
    update(trials)
    .where(_here, _running, trials.c.session.in_(bindparam("_sessions", expanding=True)))
    .values(session="")
)
_left = and_(_here, _running, trials.c.session == SESSION)
WAITING = select(trials.c.number).where(
    _left, trials.c.number.in_(bindparam("_numbers", expanding=True))
)
DROP_REPORTS_LEFT = delete(reports).where(
    reports.c.experiment == EXPERIMENT, reports.c.trial.in_(select(trials.c.number).where(_left))
)
DROP_LEFT = delete(trials).where(_left)

_reported = select(experiments.c.reported).where(experiments.c.id == EXPERIMENT)
FINISH = update(trials).where(_mine).values(ended_after=_reported.scalar_subquery())
_same_report = exists().where(
    reports.c.experiment == EXPERIMENT,
    reports.c.trial == NUMBER,
    reports.c.made == bindparam("_made"),
)
NEW_REPORT = (
    insert(reports)
    .from_select(
        ["experiment", "ordinal", "trial", "step", "metrics", "made"],
        select(
            trials.c.experiment,
            _reported.scalar_subquery() + literal_column("1"),
            trials.c.number,
            bindparam("_step", type_=reports.c.step.type),
            bindparam("_metrics", type_=reports.c.metrics.type),
            bindparam("_made", type_=reports.c.made.type),
        ).where(_mine, ~_same_report),
    )
    .execution_options(preserve_rowcount=True)
)
COUNT_REPORT = (
    update(experiments)
    .where(experiments.c.id == EXPERIMENT)
    .values(reported=experiments.c.reported + literal_column("1"))
)
LAST_REPORT = _reported
ORDINAL_OF = select(reports.c.ordinal).where(
    reports.c.experiment == EXPERIMENT,
    reports.c.trial == NUMBER,
    reports.c.made == bindparam("_made"),
)
OTHER_REPORT = select(reports.c.ordinal).where(
    reports.c.experiment == EXPERIMENT,
    reports.c.trial == NUMBER,
    reports.c.step == bindparam("_step"),
    reports.c.made != bindparam("_made"),
)
DROP_REPORTS = delete(reports).where(reports.c.experiment == EXPERIMENT, reports.c.trial == NUMBER)


def _reports(*which: object) -> Select[tuple[int, int, int, str]]:
    columns = (reports.c.ordinal, reports.c.trial, reports.c.step, reports.c.metrics)
    here = reports.c.experiment == EXPERIMENT
    return select(*columns).where(here, *which).order_by(reports.c.ordinal)  # type: ignore[arg-type]


ALL_REPORTS = _reports()
REPORTS_OF_ONE = _reports(reports.c.trial == NUMBER)
REPORTS_AFTER = _reports(reports.c.ordinal > bindparam("_ordinal"))

AFTER: BindParameter[int] = bindparam("_after")
UNTIL: BindParameter[int] = bindparam("_until")
REPORTS_BETWEEN = _reports(reports.c.ordinal > AFTER, reports.c.ordinal <= UNTIL)
COUNT_UNTIL = (
    select(func.count().label("reports"))
    .select_from(reports)
    .where(reports.c.experiment == EXPERIMENT, reports.c.ordinal <= AFTER)
)
ENDS_BETWEEN = select(
    trials.c.ended_after, trials.c.number, trials.c.state, trials.c.metrics
).where(_here, trials.c.ended_after >= AFTER, trials.c.ended_after < UNTIL)
