"""Everything tuning_store raises, foreign database errors mapped at this boundary.

StoreError
├── StoreUnavailable        the server cannot be reached, or went away
├── AuthenticationRefused   the server is there and refuses the name or password
├── PermissionRefused       the role may not do what was asked
├── OutOfFiles              this process may open no more files, nor connections
├── SchemaMismatch          the store's tables are not what this program needs
│   └── SchemaOutdated      they are older than it needs; an operator brings them up to date
├── UnknownRound            no such round in the store
├── UnknownEarlierStudy     a manifest wants to learn from a study that is not in the store
└── ClaimLost               the trial is no longer this worker's to finish

Imports no SQLAlchemy, which a worker on PostgreSQL does without: an error of it can only come where it was imported.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from optuna.exceptions import StorageInternalError

_INSUFFICIENT_PRIVILEGE = "42501"
_UNDEFINED_FUNCTION = "42883"
_PASSING_CODES = {
    "25006",  # read only: a server that was failed over from, or is not yet the primary
    "25P02",  # a transaction whose earlier statement was cancelled
}
_PASSING_NAMES = {"OperationalError", "InterfaceError"}  # of SQLAlchemy's errors, as of every DB-API driver's
_REFUSED_LOGIN = {
    *("28P01", "28000", "3D000"),  # PostgreSQL's: wrong password, no such user or not from here, no such database
    *(1044, 1045, 1698),  # MySQL's: access denied
}


class StoreError(Exception):
    """Base of this package's errors."""


class StoreUnavailable(StoreError):
    """The server cannot be reached, or went away in the middle; trying again later may help."""


class AuthenticationRefused(StoreError):
    """The server refuses the user name or the password."""


class PermissionRefused(StoreError):
    """The role may not do what was asked of it."""


class OutOfFiles(StoreError):
    """This process has reached its limit of open files: waiting does not help it, another process may go on."""


class SchemaMismatch(StoreError):
    """The store's tables, or Optuna's in it, are not what this program needs."""


class SchemaOutdated(SchemaMismatch):
    """The store's tables are older than this program needs: waiting helps, while an operator brings them up to date."""


class UnknownRound(StoreError):
    """The store holds no such round."""


class UnknownEarlierStudy(StoreError):
    """`spec.warmStart.studies` names a study that its namespace has no history of, or too little yet."""


class ClaimLost(StoreError):
    """The trial was given to another worker, or finished, while this one was away."""


@contextmanager
def translated() -> Iterator[None]:
    """Database errors inside the block as this package's own, the original chained."""
    try:
        yield
    except Exception as error:
        ours = translate(error)
        if ours is error:
            raise
        raise ours from error


def translate(error: BaseException) -> BaseException:
    """The error as one of this package's; the same one if it is no database's, or says that a program is wrong."""
    if isinstance(error, psycopg2.Error):
        return _translate(error, error)
    if isinstance(error, StorageInternalError):  # Optuna's wrapper
        cause = error.__cause__
        return translate(cause) if cause is not None and _is_sqlalchemys(cause) else StoreUnavailable(str(error))
    if _is_sqlalchemys(error):
        original = getattr(error, "orig", None)
        return StoreUnavailable(str(error)) if original is None else _translate(error, original)
    return error


def _is_sqlalchemys(error: BaseException) -> bool:
    """Whether it wraps a driver's error, or tells of a pool that has no connection left."""
    exc = sys.modules.get("sqlalchemy.exc")
    return exc is not None and isinstance(error, exc.DBAPIError | exc.TimeoutError)


def _translate(error: BaseException, original: BaseException) -> BaseException:
    text, code = str(original).strip(), _code(original)
    if code == _INSUFFICIENT_PRIVILEGE:
        return PermissionRefused(text)
    if code == _UNDEFINED_FUNCTION:  # gone with a migration, or not there yet
        reason = "the store's tables are not of this program's version; update the older of the two"
        return SchemaMismatch(f"{text.splitlines()[0]}: {reason}")
    if code in _REFUSED_LOGIN:
        return AuthenticationRefused(text)
    passing = isinstance(error, psycopg2.OperationalError | psycopg2.InterfaceError)
    if not passing and type(error).__name__ not in _PASSING_NAMES and code not in _PASSING_CODES:
        return error
    return StoreUnavailable(text)


def _code(error: BaseException) -> object:
    """PostgreSQL's SQLSTATE (see login), or MySQL's number of an error."""
    return getattr(error, "pgcode", None) or next(iter(error.args), None)
