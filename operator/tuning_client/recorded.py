"""Reads the record of a study on a cluster, as the login of its namespace."""

from sqlalchemy import create_engine

from tuning_client.target import Target, store_url
from tuning_store import record
from tuning_store.record import Line
from tuning_store.urls import driver_url, engine_arguments, is_redis


def read(target: Target, name: str) -> list[Line]:
    """The oldest line first. Also of a study that was deleted and kept its history. Raises StoreError and
    ClusterError."""
    with store_url(target) as url:
        if is_redis(url):
            return []
        engine = create_engine(driver_url(url), **engine_arguments(url))
        try:
            return record.read_own(engine, name)
        finally:
            engine.dispose()
