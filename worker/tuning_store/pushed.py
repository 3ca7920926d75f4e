"""What programs push of studies in production, kept as a whole. Called by the exporter."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from tuning_store.features import Place, insert_counts, write_references
from tuning_store.production import Reading, insert_observations
from tuning_store.tenants.registry import told_tables
from tuning_study.production.features import Counts, Reference


@dataclass(frozen=True)
class Pushed:
    """Of one study."""

    place: Place
    readings: Sequence[Reading] = ()
    references: Mapping[str, Reference] = field(default_factory=dict)
    counts: Mapping[str, Counts] = field(default_factory=dict)


def keep_pushed(engine: Engine, pushed: Sequence[Pushed]) -> None:
    """All of it, or nothing where it raises StoreError."""
    with told_tables(engine) as connection:
        for told in pushed:
            insert_observations(connection, told.place.owner, told.readings)
            write_references(connection, told.place, told.references, whole=False)
            insert_counts(connection, told.place, told.counts)
