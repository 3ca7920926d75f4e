"""Which store serves a study: a namespace's place in the operator's PostgreSQL, or one that the study brings."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sqlalchemy import Engine, create_engine

from tuning_operator import names
from tuning_operator.cluster import Cluster
from tuning_operator.exceptions import Forbidden, NotFound, SecretUnusable
from tuning_operator.settings import Settings
from tuning_store import progress, schema, tenants
from tuning_store.exceptions import PermissionRefused
from tuning_store.progress import Progress
from tuning_store.storage import driver_url, engine_arguments
from tuning_study.spec import Storage

R = TypeVar("R")


@dataclass(frozen=True)
class Location:
    """Where a study's rounds are, and which Secret tells the workers."""

    url: str = field(repr=False)
    schema: str | None
    secret: str
    key: str
    shared_role: bool = False


class Board:
    """The progress of all rounds behind one URL. Readers that come together share one statement."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(driver_url(url), **engine_arguments(url))
        self._schemas: set[str | None] = set()
        self._snapshot: Mapping[str, Progress] = {}
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    def add(self, schema: str | None) -> None:
        """Read this schema too; what was read without it says nothing of its rounds."""
        if schema not in self._schemas:
            self._schemas.add(schema)
            self._read_at = float("-inf")

    def engine_for(self, schema: str | None) -> Engine:
        """The same connections, with a tenant's schema in every statement."""
        return self.engine.execution_options(schema_translate_map={None: schema})

    async def progress(self, study: str, not_before: float) -> Progress | None:
        """The round as it was at the monotonic time `not_before` or later."""
        async with self._lock:
            if self._read_at < not_before:
                began = time.monotonic()
                schemas = sorted(self._schemas, key=str)
                self._snapshot = await asyncio.to_thread(progress.read, self.engine, schemas)
                self._read_at = began
        return self._snapshot.get(study)


class Stores:
    def __init__(self, settings: Settings, cluster: Cluster, owner: str) -> None:
        self._settings, self._cluster, self.owner = settings, cluster, owner
        self._boards: dict[str, Board] = {}
        self._tenants: dict[str, Location] = {}
        self._making = asyncio.Lock()

    async def locate(self, namespace: str, storage: Storage | None) -> Location:
        """Find or make the store of a study. Raises StoreError, SecretUnusable and ClusterError."""
        if storage is not None:
            location = await self._brought(namespace, storage)
        else:
            location = self._tenants.get(namespace) or await self._tenant(namespace)
        self.board(location).add(location.schema)
        return location

    def board(self, location: Location) -> Board:
        return self._board(location.url)

    def admin_board(self) -> Board:
        return self._board(self._settings.store_url)

    def _board(self, url: str) -> Board:
        if url not in self._boards:
            self._boards[url] = Board(url)
        return self._boards[url]

    async def call(self, function: Callable[..., R], *args: object, **kwargs: object) -> R:
        """Run a blocking store function beside the event loop."""
        return await asyncio.to_thread(function, *args, **kwargs)

    async def _tenant(self, namespace: str) -> Location:
        async with self._making:
            if namespace in self._tenants:
                return self._tenants[namespace]
            admin, tenant = self._settings.store_url, tenants.tenant_of(namespace, self.owner)
            await self.call(tenants.create, admin, tenant)
            shared = not await self._publish_login(namespace, admin, tenant)
            location = Location(admin, tenant.schema, names.TENANT_SECRET, names.TENANT_SECRET_KEY, shared)
            self._tenants[namespace] = location
            return location

    async def _publish_login(self, namespace: str, admin: str, tenant: tenants.Tenant) -> bool:
        """Put a login that works into the namespace's Secret. False if it is the shared one."""
        known = await self._secret_url(namespace)
        if known is not None and await self.call(tenants.login_works, known):
            return known != tenants.shared_url(admin, tenant)
        own = True
        try:
            url = await self.call(tenants.create_role, admin, tenant) if self._settings.roles else None
        except PermissionRefused:
            url = None
        if url is None:
            own, url = False, tenants.shared_url(admin, tenant)
        await self._cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": names.TENANT_SECRET,
                    "namespace": namespace,
                    "labels": {"app.kubernetes.io/managed-by": names.FIELD_MANAGER},
                },
                "stringData": {names.TENANT_SECRET_KEY: url},
            }
        )
        return own

    async def _secret_url(self, namespace: str) -> str | None:
        try:
            return (await self._cluster.read_secret(namespace, names.TENANT_SECRET)).get(names.TENANT_SECRET_KEY)
        except NotFound:
            return None

    async def _brought(self, namespace: str, storage: Storage) -> Location:
        name, key = storage.secret_name, storage.key
        try:
            secret = await self._cluster.read_secret(namespace, name)
        except NotFound as error:
            raise SecretUnusable(f"spec.storage: there is no Secret {name!r} in {namespace}; create it") from error
        except Forbidden as error:
            raise SecretUnusable(
                f"spec.storage: the operator may not read Secret {name!r}. Allow it: kubectl create role {name}-reader "
                f"-n {namespace} --verb=get --resource=secrets --resource-name={name}; kubectl create rolebinding "
                f"{name}-reader -n {namespace} --role={name}-reader "
                f"--serviceaccount={self._settings.namespace}:tuning-operator"
            ) from error
        if key not in secret:
            raise SecretUnusable(
                f"spec.storage: Secret {name!r} has no key {key!r}; it has {', '.join(sorted(secret)) or 'none'}"
            )
        url = secret[key]
        if url not in self._boards:
            await self.call(schema.create, url)
        return Location(url, None, name, key)
