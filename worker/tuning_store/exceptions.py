"""Everything tuning_store raises, foreign database errors mapped at this boundary.

StoreError
├── StoreUnavailable        the server cannot be reached, or went away
├── AuthenticationRefused   the server is there and refuses the name or password
├── PermissionRefused       the role may not do what was asked
├── UnknownRound            no such round in the store
└── ClaimLost               the trial is no longer this worker's to finish
"""

from collections.abc import Iterator
from contextlib import contextmanager

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError

_INSUFFICIENT_PRIVILEGE = "42501"


class StoreError(Exception):
    """Base of this package's errors."""


class StoreUnavailable(StoreError):
    """The server cannot be reached, or went away in the middle; trying again later may help."""


class AuthenticationRefused(StoreError):
    """The server refuses the user name or the password."""


class PermissionRefused(StoreError):
    """The role may not do what was asked of it."""


class UnknownRound(StoreError):
    """The store holds no such round."""


class ClaimLost(StoreError):
    """The trial was given to another worker, or finished, while this one was away."""


TRANSIENT = (StoreUnavailable, StorageInternalError, OperationalError, InterfaceError)
"""What passes when the database comes back."""


@contextmanager
def translated() -> Iterator[None]:
    """Database errors inside the block as this package's own, the original chained."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error) from error
    except StorageInternalError as error:
        cause = error.__cause__
        raise (_translate(cause) if isinstance(cause, DBAPIError) else StoreUnavailable(str(error))) from error


def _translate(error: DBAPIError) -> Exception:
    text = str(error.orig).strip()
    if getattr(error.orig, "pgcode", None) == _INSUFFICIENT_PRIVILEGE:
        return PermissionRefused(text)
    if not isinstance(error, OperationalError | InterfaceError):
        return error
    # A refused login arrives without a code: the connection that would carry it was never made.
    refused = ("password authentication failed", "no pg_hba.conf entry", "Access denied", "does not exist")
    if ("FATAL" in text and any(words in text for words in refused)) or "Access denied" in text:
        return AuthenticationRefused(text)
    return StoreUnavailable(text)
