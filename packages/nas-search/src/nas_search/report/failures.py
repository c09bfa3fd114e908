"""What went wrong: the errors, and what failed trials left behind."""

from __future__ import annotations

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
    """The errors, the most frequent first; equal ones once."""
    groups: dict[str, list[Trial]] = {}
    for trial in subject.trials:
        if subject.state(trial) == "failed":
            groups.setdefault(trial.error or "no error is stored", []).append(trial)
    ordered = sorted(groups.items(), key=lambda group: (-len(group[1]), group[1][0].number))
    text = "" if groups else "No trial has failed."
    if len(ordered) > _ERRORS:
        text = f"The {_ERRORS} most frequent of {len(ordered)} different errors."
    shown = [_failure(error, trials, folder) for error, trials in ordered[:_ERRORS]]
    return Section("failures", "Failures", text=text, failures=shown, wide=True)


def _failure(error: str, trials: Sequence[Trial], folder: Path) -> Failure:
    numbers = ", ".join(str(trial.number) for trial in trials[:30])
    more = f" and {len(trials) - 30} more" if len(trials) > 30 else ""
    records = [record for trial in trials[:_RECORDS] for record in _records(trial, folder)]
    named = f"{'trial' if len(trials) == 1 else 'trials'} {numbers}{more}"
    return Failure(_ended(printable(error)), named, len(trials), records)


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
