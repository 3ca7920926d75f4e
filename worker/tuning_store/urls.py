"""What a store's URL means to SQLAlchemy, and to PostgreSQL's own library.

SQLAlchemy is imported where it is asked for: a worker on PostgreSQL does without.
"""

import re
from typing import Any
from urllib.parse import parse_qs, unquote

from tuning_store.login import ConnectionWithCode

_URL = re.compile(
    r"(?P<name>[\w+]+)://"
    r"(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?:\[(?P<ipv6>[^/?]+)\]|(?P<host>[^/:?]+))?(?::(?P<port>\d*))?"
    r"(?:/(?P<dbname>[^?]*))?(?:\?(?P<query>.*))?"
)
_HOST_AND_PORT = re.compile(r"(?P<host>[^/].*):(?P<port>\d+)")


def backend(url: str) -> str:
    """`postgresql`, `mysql`, `sqlite`, `redis` and so on; empty for what is no URL."""
    name = url.partition("://")[0].partition("+")[0].strip() if "://" in url else ""
    return {"postgres": "postgresql"}.get(name, name)


def driver_url(url: str) -> str:
    """`url` with the driver this package ships: `postgres://` and `postgresql://` mean psycopg2, `mysql://` PyMySQL."""
    from sqlalchemy.engine import make_url

    drivers = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}
    parsed = make_url(url)
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername)).render_as_string(
        hide_password=False
    )


def is_redis(url: str) -> bool:
    return backend(url) in ("redis", "rediss")


def connect_arguments(url: str, schema: str | None = None, *, read_only: bool = False) -> dict[str, Any]:
    """The driver's arguments besides what stands in the URL. `read_only` is for PostgreSQL alone: it refuses writes."""
    if backend(url) == "sqlite":
        return {"timeout": 60}
    if backend(url) != "postgresql":
        return {"connect_timeout": 10}
    settings = [f"-csearch_path={schema}"] if schema is not None else []
    settings += ["-cdefault_transaction_read_only=on"] if read_only else []
    options = {"options": " ".join(settings)} if settings else {}
    alive = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
    return {"connect_timeout": 10, "connection_factory": ConnectionWithCode} | alive | options


def engine_arguments(url: str, schema: str | None = None, *, read_only: bool = False) -> dict[str, Any]:
    """SQLAlchemy's arguments: connections are checked before use, so that a restarted server goes unnoticed."""
    arguments = {"connect_args": connect_arguments(url, schema, read_only=read_only)}
    pool = {} if backend(url) == "sqlite" else {"pool_pre_ping": True, "pool_size": 2, "max_overflow": 2}
    return arguments | pool


def libpq_arguments(url: str) -> dict[str, str]:
    """A PostgreSQL URL, as SQLAlchemy reads it, as the keywords of psycopg2.connect. Raises ValueError for no URL."""
    found = _URL.fullmatch(url)
    if found is None or backend(url) != "postgresql":
        raise ValueError("not a URL of a PostgreSQL")
    query = parse_qs(found["query"] or "", keep_blank_values=True)
    arguments = {
        "user": unquote(found["user"] or ""),
        "password": unquote(found["password"] or ""),
        "host": found["ipv6"] or found["host"] or "",
        "port": found["port"] or "",
        "dbname": found["dbname"] or "",
        **{key: values[-1] for key, values in query.items()},
        **_several_hosts(query.get("host", [])),
    }
    return {key: value for key, value in arguments.items() if value}


def _several_hosts(hosts: list[str]) -> dict[str, str]:
    """`host=a:1&host=b:2` as libpq writes it; nothing where one host stands without a port."""
    pairs = [_HOST_AND_PORT.fullmatch(host) for host in hosts]
    if len(hosts) < 2 and not any(pairs):
        return {}
    names = [pair["host"] if pair else host for pair, host in zip(pairs, hosts, strict=True)]
    ports = [pair["port"] if pair else "" for pair in pairs]
    return {"host": ",".join(names), "port": ",".join(ports) if any(ports) else ""}
