"""Everything tuning_store raises, foreign database errors mapped at this boundary.

StoreError
├── StoreUnavailable        the server cannot be reached, or went away
├── AuthenticationRefused   the server is there and refuses the name or password
├── PermissionRefused       the role may not do what was asked
├── OutOfFiles              this process may open no more files, nor connections
├── UnknownRound            no such round in the store
└── ClaimLost               the trial is no longer this worker's to finish
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2  # type: ignore[import-untyped]
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

_INSUFFICIENT_PRIVILEGE = "42501"
_PASSING = {
    "25006",  # read only: a server that was failed over from, or is not yet the primary
    "25P02",  # a transaction whose earlier statement was cancelled
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


class UnknownRound(StoreError):
    """The store holds no such round."""


class ClaimLost(StoreError):
    """The trial was given to another worker, or finished, while this one was away."""


TRANSIENT = (StoreUnavailable, StorageInternalError, OperationalError, InterfaceError, PoolTimeout)
"""What passes when the database comes back."""


@contextmanager
def translated() -> Iterator[None]:
    """Database errors inside the block as this package's own, the original chained."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error, error.orig) from error
    except psycopg2.Error as error:
        raise _translate(error, error) from error
    except StorageInternalError as error:
        cause = error.__cause__
        if isinstance(cause, DBAPIError):
            raise _translate(cause, cause.orig) from error
        raise StoreUnavailable(str(error)) from error


def _translate(error: Exception, original: BaseException | None) -> Exception:
    text, code = str(original).strip(), getattr(original, "pgcode", None)
    if code == _INSUFFICIENT_PRIVILEGE:
        return PermissionRefused(text)
    passing = (OperationalError, InterfaceError, psycopg2.OperationalError, psycopg2.InterfaceError)
    if not isinstance(error, passing) and code not in _PASSING:
        return error
    # A refused login arrives without a code: the connection that would carry it was never made.
    refused = ("password authentication failed", "no pg_hba.conf entry", "Access denied", "does not exist")
    if ("FATAL" in text and any(words in text for words in refused)) or "Access denied" in text:
        return AuthenticationRefused(text)
    return StoreUnavailable(text)
