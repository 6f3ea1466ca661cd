"""Errors that a user sees: one line each, with the exit code that schedulers and shells read.

Exit codes: 0 done or done already, 1 crash, 2 bad input or parameters (nothing published), 3 audit failed,
4 conflict with another writer, 5 published but some files are quarantined, 75 store or catalog away or outcome
unknown. 1, 4 and 75 may be retried as they are; 2 and 3 need a person.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a job or a command tells the shell; 75 is EX_TEMPFAIL of sysexits.h."""

    DONE = 0
    CRASH = 1
    BAD_INPUT = 2
    AUDIT_FAILED = 3
    CONFLICT = 4
    QUARANTINED = 5
    UNAVAILABLE = 75


RANKING = (
    *(ExitCode.DONE, ExitCode.QUARANTINED),
    *(ExitCode.BAD_INPUT, ExitCode.AUDIT_FAILED),
    *(ExitCode.CONFLICT, ExitCode.UNAVAILABLE, ExitCode.CRASH),
)
"""From good to bad. What may go well the next time comes last: a rerun then tries it, and names the others again."""
PASSING = RANKING[:2]


def worst_code(codes: Iterable[int]) -> ExitCode:
    """Return the exit code that stands for several runs; DONE for none."""
    return max(map(ExitCode, codes), key=RANKING.index, default=ExitCode.DONE)


class LakehouseError(Exception):
    """Base of every error that ends a command with one line; `exit_code` says which code."""

    exit_code: ExitCode = ExitCode.CRASH


class BadInputError(LakehouseError):
    """A file, a parameter or a setting is not what was expected; nothing was published."""

    exit_code = ExitCode.BAD_INPUT


class AuditFailedError(LakehouseError):
    """A critical rule failed; `main` is untouched and the audit branch is left for inspection."""

    exit_code = ExitCode.AUDIT_FAILED


class ConflictError(LakehouseError):
    """`main` moved under this run more often than it restages."""

    exit_code = ExitCode.CONFLICT


class UnavailableError(LakehouseError):
    """Store or catalog is away, or the outcome of a commit is unknown; the same command is safe to repeat."""

    exit_code = ExitCode.UNAVAILABLE


def first_line(error: BaseException) -> str:
    """Return the line of an error that a person can use: a database's and Java's have many."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
