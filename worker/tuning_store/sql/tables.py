"""Our tables beside Optuna's. Times are the server's clock, so that no worker's clock matters."""

from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    func,
    inspect,
    select,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from tuning_store.optuna_internals import models

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
    Column("stop", String(32)),  # budget.StopReason, decided by a worker
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

counts_by_worker = Table(  # PostgreSQL alone: a trigger of postgres/functions.sql keeps it
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

migrations = Table(  # not part of what a backup holds
    "tuning_migrations",
    MetaData(),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name", String(64), nullable=False),
    Column("applied_at", DateTime, nullable=False),
)
optunas_version = Table("alembic_version", MetaData(), Column("version_num", String(32)))
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


def migrations_applied(engine: Engine) -> int | None:
    """The number of the last migration of our tables, 0 before there were any, None where there are no tables."""
    with engine.connect() as connection:
        if inspect(connection).has_table(migrations.name):
            return connection.execute(select(func.max(migrations.c.number))).scalar_one() or 0
        return 0 if inspect(connection).has_table(rounds.name) else None


def optunas_revision(engine: Engine) -> str | None:
    """Of Optuna's tables, None where there are none."""
    with engine.connect() as connection:
        if not inspect(connection).has_table(optunas_version.name):
            return None
        revision: str | None = connection.execute(select(optunas_version.c.version_num)).scalar_one_or_none()
        return revision
