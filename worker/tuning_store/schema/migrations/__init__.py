"""The numbered changes of our tables, each in a file of its own. How to write one: docs/store.md.

A migration is a list of steps. Each step is carried out in a transaction of its own and may be repeated: one that was
cut off is begun again from its first step. Programs of the version before go on while it runs and afterwards, so it
adds, and removes only what no program has used since the version before.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from sqlalchemy import Connection, Index, Table, inspect
from sqlalchemy.schema import CreateTable

Step = Callable[[Connection], object]


@dataclass(frozen=True)
class Migration:
    number: int
    name: str
    steps: Callable[[str], Sequence[Step]]
    """For a dialect of SQLAlchemy: postgresql, mysql, mariadb or sqlite."""


def all_of(package: str, path: Sequence[str]) -> list[Migration]:
    """The migrations in a package, `NNN_name.py` each with a function `steps`, by their numbers. A number may be
    missing: what a store has had is noted one by one, so that it gets the migration whenever there is one."""
    found = []
    for name in sorted(module.name for module in iter_modules(path) if module.name[:3].isdigit()):
        number, _, title = name.partition("_")
        found.append(Migration(int(number), title, import_module(f"{package}.{name}").steps))
    numbers = [migration.number for migration in found]
    assert len(set(numbers)) == len(numbers), f"two migrations of one number: {numbers}"
    return found


def sql(statement: str) -> Step:
    return lambda connection: connection.execution_options(no_parameters=True).exec_driver_sql(statement)


def create_table(table: Table) -> Step:
    """Without its indexes, which are steps of their own: MySQL keeps each statement as soon as it is carried out."""
    return lambda connection: connection.execute(CreateTable(table, if_not_exists=True))


def create_index(index: Index) -> Step:
    def create(connection: Connection) -> None:
        assert index.table is not None
        known = {found["name"] for found in inspect(connection).get_indexes(index.table.name, index.table.schema)}
        if index.name not in known:
            index.create(connection)

    return create
