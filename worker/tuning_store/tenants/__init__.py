"""A PostgreSQL schema and role for each namespace, so that no pod sees, changes or hinders another namespace's data."""

from tuning_store.tenants.registry import Tenant, registered, tenant_of
from tuning_store.tenants.removal import Gone, drop, note_living, why_kept
from tuning_store.tenants.roles import CONNECTIONS, create_role, login_works, shared_url
from tuning_store.tenants.schemas import create, in_all, made, schemas, upgrade
from tuning_store.tenants.sessions import end_blocking_sessions
from tuning_store.tenants.stores import TenantStores

__all__ = [
    "CONNECTIONS",
    "Gone",
    "Tenant",
    "TenantStores",
    "create",
    "create_role",
    "drop",
    "end_blocking_sessions",
    "in_all",
    "login_works",
    "made",
    "note_living",
    "registered",
    "schemas",
    "shared_url",
    "tenant_of",
    "upgrade",
    "why_kept",
]
