"""Tells by which SQLSTATE a PostgreSQL refuses a login, so that no error is decided by its words.

A failed connection of libpq, and so of psycopg2, has a message and no code, and the message is in the server's
language. Where a message is the server's own, this module logs in once more by libpq's asynchronous interface, which
psycopg 3 offers with a trace of the protocol: the server's answer in it has the code. Everything that connects does so
by ConnectionWithCode (urls.connect_arguments).
"""

import os
import re
import select
import time
from typing import Any

import psycopg2
import psycopg2.extensions

_SERVERS_MESSAGE = re.compile(r"(?:^|: )\S+:  (?P<message>\S.*)", re.DOTALL)  # two blanks, after a severity
_CODE = re.compile(r'\tErrorResponse\t.* C "(\w{5})"')
_PATIENCE = 10.0  # seconds for the second login
_MAX_KNOWN = 1000

_known: dict[str, str] = {}
"""The code of each message that was asked for: a server says the same again for the same reason."""


class LoginFailed(psycopg2.OperationalError):
    """The server has answered, and lets nobody in. `pgcode` is its SQLSTATE."""

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self._code = code

    @property
    def pgcode(self) -> str:
        return self._code


class ConnectionWithCode(psycopg2.extensions.connection):
    """A connection of psycopg2 whose failure to log in has the server's code."""

    def __init__(self, dsn: str, *args: Any, **kwargs: Any) -> None:
        try:
            super().__init__(dsn, *args, **kwargs)
        except psycopg2.OperationalError as error:
            code = _code_of(str(error), dsn)
            if code is None:
                raise
            raise LoginFailed(str(error), code) from error


def _code_of(message: str, dsn: str) -> str | None:
    servers = _SERVERS_MESSAGE.search(message)
    if servers is None:  # libpq's own: it has not reached the server
        return None
    said = servers["message"]
    if said in _known:
        return _known[said]
    code = _ask(dsn)
    if code is not None:
        if len(_known) >= _MAX_KNOWN:
            _known.clear()
        _known[said] = code
    return code


def _ask(dsn: str) -> str | None:
    """The code with which the server ends a login. None where it lets us in now, or there is no way to know.

    Seldom, for psycopg never frees what a trace has buffered.
    """
    from psycopg import OperationalError, pq

    if not hasattr(os, "memfd_create"):  # nor has psycopg a trace on such a system
        return None
    trace = os.memfd_create("login")  # in memory: it may hold a password
    connection = pq.PGconn.connect_start(dsn.encode())
    try:
        connection.trace(trace)
        _poll(connection, time.monotonic() + _PATIENCE)
        connection.untrace()
        found = _CODE.findall(os.pread(trace, os.fstat(trace).st_size, 0).decode(errors="replace"))
    except (OperationalError, OSError):
        return None
    finally:
        connection.finish()
        os.close(trace)
    return found[-1] if found else None


def _poll(connection: Any, deadline: float) -> None:
    from psycopg.pq import PollingStatus

    status = PollingStatus.WRITING
    while status in (PollingStatus.READING, PollingStatus.WRITING) and time.monotonic() < deadline:
        wanted = select.POLLIN if status == PollingStatus.READING else select.POLLOUT
        poller = select.poll()  # select() knows no file descriptor above 1023
        poller.register(connection.socket, wanted)
        poller.poll(1000 * max(0.0, deadline - time.monotonic()))
        status = connection.connect_poll()
