"""What is known of canaries between two looks, so that an operator that takes over goes on where another has stopped.

The operator's canary keeper reads and writes it. PostgreSQL only.
"""

from sqlalchemy import Engine

from tuning_store.features import Place
from tuning_store.tenants.registry import told_tables
from tuning_study.promotion.canary.analysis import CanaryState

_READ = "SELECT state::text AS state FROM tuning_admin.canaries WHERE study = %(study)s AND deployment = %(deployment)s"
_KEEP = """
    INSERT INTO tuning_admin.canaries (study, owner, namespace, deployment, state)
    VALUES (%(study)s, %(owner)s, %(namespace)s, %(deployment)s, %(state)s::jsonb)
    ON CONFLICT (study) DO UPDATE SET deployment = excluded.deployment, state = excluded.state
"""


def read_state(engine: Engine, study: str, deployment: str) -> CanaryState | None:
    """Of the canary with that Deployment; None before it was looked at. Raises StoreError."""
    with told_tables(engine) as connection:
        found = connection.exec_driver_sql(_READ, {"study": study, "deployment": deployment}).one_or_none()
    return CanaryState.from_json(found.state) if found is not None else None


def keep_state(engine: Engine, place: Place, deployment: str, state: CanaryState) -> None:
    """Instead of what was known of the study's canary before. Raises StoreError."""
    with told_tables(engine) as connection:
        connection.exec_driver_sql(
            _KEEP,
            {
                "study": place.study,
                "owner": place.owner,
                "namespace": place.namespace,
                "deployment": deployment,
                "state": state.to_json(),
            },
        )
