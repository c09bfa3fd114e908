"""What went wrong: the errors, and what failed trials left behind."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from nas_core.wording import printable

from nas_search.logs import find_log, tail
from nas_search.report.section import Failure, Section
from nas_search.report.subject import Subject
from nas_search.store import Trial

__all__ = ["failures"]

_ERRORS = 20
_RECORDS = 2
_LETTERS = 6_000


def failures(subject: Subject, folder: Path) -> Section:
    """The errors, the most frequent first; those that differ in nothing but numbers once."""
    groups: dict[str, list[Trial]] = {}
    for trial in subject.trials:
        if subject.state(trial) == "failed":
            groups.setdefault(_kind(_error(trial)), []).append(trial)
    ordered = sorted(groups.values(), key=lambda trials: (-len(trials), trials[0].number))
    text = "" if groups else "No trial has failed."
    if len(ordered) > _ERRORS:
        text = f"The {_ERRORS} most frequent of {len(ordered)} different errors."
    shown = [_failure(trials, folder) for trials in ordered[:_ERRORS]]
    return Section("failures", "Failures", text=text, failures=shown, wide=True)


def _error(trial: Trial) -> str:
    return trial.error or "no error is stored"


def _kind(error: str) -> str:
    """An error without its numbers: shapes and epochs differ from trial to trial."""
    return re.sub(r"\b\d\w*", "0", error)  # 64x16 is one


def _failure(trials: Sequence[Trial], folder: Path) -> Failure:
    numbers = ", ".join(str(trial.number) for trial in trials[:30])
    more = f" and {len(trials) - 30} more" if len(trials) > 30 else ""
    records = [record for trial in trials[:_RECORDS] for record in _records(trial, folder)]
    named = f"{'trial' if len(trials) == 1 else 'trials'} {numbers}{more}"
    return Failure(_ended(printable(_error(trials[0]))), named, len(trials), records)


def _records(trial: Trial, folder: Path) -> Iterator[tuple[str, str]]:
    if trial.details:
        yield f"Trial {trial.number}: details", _ended(printable(trial.details))
    log = find_log(folder, trial.number)
    if log is not None and (text := tail(log, _LETTERS)):
        yield f"Trial {trial.number}: end of its log, {log}", printable(text)


def _ended(text: str) -> str:
    """A text that may be of any length, as its begin and its end."""
    if len(text) <= _LETTERS:
        return text
    half = _LETTERS // 2
    return f"{text[:half]}\n… {len(text) - 2 * half} characters are left out …\n{text[-half:]}"
