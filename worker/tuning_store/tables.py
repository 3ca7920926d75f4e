"""Our tables beside Optuna's. Times are the server's clock, so that no worker's clock matters."""

from functools import cache
from typing import Any

from optuna.storages._rdb import models
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

metadata = MetaData()

rounds = Table(
    "tuning_rounds",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("study_name", String(512), nullable=False, unique=True),
    Column("owner", String(64), nullable=False),  # the cluster whose operator keeps this round
    Column("digest", String(64), nullable=False),  # of the part of the spec that is fixed for a round
    Column("trials", BigInteger),  # the budget; the operator may change it in flight
    Column("failed_trials", BigInteger, nullable=False),
    Column("duration", Double),  # seconds
    Column("stop", String(32)),  # budget.Over, decided by a worker
    Column("detail", Text),  # what a person should know of the stop
    Column("started_at", DateTime, nullable=False),
    Column("first_claim_at", DateTime),  # from here budget.duration counts: a pod may wait long for its node
    Column("paused_at", DateTime),
    Column("paused_for", Double, nullable=False, default=0.0),  # seconds of pauses that ended
    Column("retain", Boolean, nullable=False, default=False),
)

workers = Table(
    "tuning_workers",
    metadata,
    Column("study_id", Integer, primary_key=True, autoincrement=False),
    Column("worker", String(255), primary_key=True),
    Column("started_at", DateTime, nullable=False),
    Column("seen_at", DateTime, nullable=False),
)

claims = Table(
    "tuning_claims",
    metadata,
    Column("trial_id", Integer, primary_key=True, autoincrement=False),
    Column("study_id", Integer, nullable=False, index=True),
    Column("worker", String(255), nullable=False),
    Column("attempts", Integer, nullable=False),
)

shares = Table(  # PostgreSQL alone: postgres/server.sql makes and keeps it
    "tuning_shares",
    MetaData(),
    Column("study_id", Integer),
    Column("worker", String(255)),  # empty for trials that nobody claimed
    Column("complete", BigInteger),
    Column("pruned", BigInteger),
    Column("failed", BigInteger),
    Column("last_finished_at", DateTime),
    Column("total_seconds", Double),
    Column("durations", ARRAY(BigInteger)),  # trials by DURATION_BOUNDS, and those beyond
)
DURATION_BOUNDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0)  # seconds

studies: Table = models.StudyModel.__table__
trials: Table = models.TrialModel.__table__
trial_params: Table = models.TrialParamModel.__table__
trial_values: Table = models.TrialValueModel.__table__
trial_user_attributes: Table = models.TrialUserAttributeModel.__table__
trial_system_attributes: Table = models.TrialSystemAttributeModel.__table__


@cache
def in_schema(table: Table, schema: str | None) -> Table:
    """The table in a tenant's schema, for statements that span several."""
    return table if schema is None else table.to_metadata(MetaData(), schema=schema, referred_schema_fn=_same_schema)


def _same_schema(table: Table, to_schema: str | None, *_: Any) -> str | None:
    return to_schema


class server_now(FunctionElement[Any]):
    """The server's wall clock as a naive UTC timestamp, read anew at each call, within a transaction too."""

    type = DateTime()
    inherit_cache = True


@compiles(server_now, "postgresql")
def _postgresql_now(*_: Any, **__: Any) -> str:
    return "timezone('utc', clock_timestamp())"


@compiles(server_now, "mysql")
@compiles(server_now, "mariadb")
def _mysql_now(*_: Any, **__: Any) -> str:
    return "utc_timestamp(6)"


@compiles(server_now, "sqlite")
def _sqlite_now(*_: Any, **__: Any) -> str:
    return "strftime('%Y-%m-%d %H:%M:%f', 'now')"
