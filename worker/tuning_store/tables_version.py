"""Which version of the tables this program needs, and whether a store has it. Every worker asks, without SQLAlchemy."""

from dataclasses import dataclass

from tuning_store.exceptions import SchemaMismatch, SchemaOutdated
from tuning_store.optuna_internals import TABLES_REVISION

REQUIRED = 2
"""The number of the newest migration (schema.migrations)."""


@dataclass(frozen=True)
class TablesVersion:
    """What the tables of a store are."""

    number: int | None
    """Of the last migration; 0 before there were any, None where there are no tables of ours."""
    optuna: str | None
    """The revision of Optuna's tables; None where there are none."""


def check(found: TablesVersion) -> None:
    """Raises SchemaOutdated or SchemaMismatch for tables that this program cannot use.

    Newer tables are fine: a migration leaves what programs of the version before it use.
    """
    check_optunas(found.optuna)
    if found.number is None:
        raise SchemaOutdated("the store has no tables yet: an operator makes them, and so does `tuning run`")
    if found.number < REQUIRED:
        raise SchemaOutdated(
            f"the store's tables are of version {found.number}, and this program needs {REQUIRED}: an operator of this "
            "program's version brings them up to date, and so does `tuning run` with a login that may change tables"
        )


def check_optunas(revision: str | None) -> None:
    """Nobody upgrades Optuna's tables unasked: plain Optuna programs of other versions may be using them."""
    if revision not in (None, TABLES_REVISION):
        raise SchemaMismatch(
            f"Optuna's tables in the store are of its revision {revision}, and this program's Optuna needs "
            f"{TABLES_REVISION}. If theirs is the older one: suspend the studies, make a backup, and run "
            "`optuna storage upgrade --storage URL` once; if it is the newer one: update this program"
        )
