"""What a store's URL means to SQLAlchemy."""

from typing import Any

from sqlalchemy.engine import make_url


def driver_url(url: str) -> str:
    """`url` with the driver this package ships: `postgres://` and `postgresql://` mean psycopg2, `mysql://` PyMySQL."""
    drivers = {"postgres": "postgresql+psycopg2", "postgresql": "postgresql+psycopg2", "mysql": "mysql+pymysql"}
    parsed = make_url(url)
    return parsed.set(drivername=drivers.get(parsed.drivername, parsed.drivername)).render_as_string(
        hide_password=False
    )


def is_redis(url: str) -> bool:
    return make_url(url).drivername in ("redis", "rediss")


def engine_arguments(url: str, schema: str | None = None) -> dict[str, Any]:
    """SQLAlchemy's arguments: connections are checked before use, so that a restarted server goes unnoticed."""
    backend = make_url(url).get_backend_name()
    if backend == "sqlite":
        return {"connect_args": {"timeout": 60}}
    connect: dict[str, Any] = {"connect_timeout": 10}
    if backend == "postgresql":
        connect |= {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
        if schema is not None:
            connect["options"] = f"-csearch_path={schema}"
    return {"pool_pre_ping": True, "pool_size": 2, "max_overflow": 2, "connect_args": connect}
