"""Which store serves a study: a namespace's place in the operator's PostgreSQL, or one that the study brings."""

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, ProgrammingError

from tuning_operator import names
from tuning_operator.cluster import Cluster
from tuning_operator.exceptions import Forbidden, NotFound, SecretUnusable
from tuning_operator.settings import Settings
from tuning_store import address, progress, schema, tenants
from tuning_store.exceptions import PermissionRefused
from tuning_store.progress import Progress
from tuning_store.urls import driver_url, engine_arguments
from tuning_study.spec import Storage

R = TypeVar("R")
_SHARED = "all namespaces share the administrator's login; change its password, and the Secret that tells the operator"


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
        self._read: frozenset[str | None] = frozenset()  # the schemas in it
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

    def add(self, schema: str | None) -> None:
        """Read this schema too."""
        self._schemas.add(schema)

    def engine_for(self, schema: str | None) -> Engine:
        """The same connections, with a tenant's schema in every statement."""
        return self.engine.execution_options(schema_translate_map={None: schema})

    async def progress(self, study: str, not_before: float) -> Progress | None:
        """The round as it was at the monotonic time `not_before` or later."""
        async with self._lock:
            if self._read_at < not_before or self._schemas != self._read:
                began, schemas = time.monotonic(), frozenset(self._schemas)
                self._snapshot = await asyncio.to_thread(progress.read, self.engine, sorted(schemas, key=str))
                self._read_at, self._read = began, schemas  # one that was added meanwhile is not in it
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

    def namespaces(self) -> list[str]:
        """The namespaces that have a place in the operator's PostgreSQL, as far as it has looked."""
        return sorted(self._tenants)

    async def rotate(self, namespace: str, request: str | None = None) -> str | None:
        """A new password for the namespace's role, in its Secret. Returns why there is none.

        One that is cut off half way is made whole by repeating it; until then the Secret's password does not work.
        """
        async with self._making:
            tenant = tenants.tenant_of(namespace, self.owner)
            url, answer = await self._new_login(tenant), {}
            if request is not None:
                answer = {
                    names.ROTATE_HANDLED_ANNOTATION: request,
                    **({names.ROTATED_AT_ANNOTATION: _now()} if url else {names.ROTATE_PROBLEM_ANNOTATION: _SHARED}),
                }
            await self._publish(namespace, url or tenants.shared_url(self._settings.store_url, tenant), answer)
            return None if url else _SHARED

    def forget(self, namespace: str) -> None:
        """The namespace is gone; should it come back, its place is found or made anew."""
        self._tenants.pop(namespace, None)

    async def _tenant(self, namespace: str) -> Location:
        async with self._making:
            if namespace in self._tenants:
                return self._tenants[namespace]
            admin, tenant = self._settings.store_url, tenants.tenant_of(namespace, self.owner)
            await self.call(tenants.create, admin, tenant)
            shared = not await self._keep_login(namespace, tenant)
            location = Location(admin, tenant.schema, names.TENANT_SECRET, names.TENANT_SECRET_KEY, shared)
            self._tenants[namespace] = location
            return location

    async def _keep_login(self, namespace: str, tenant: tenants.Tenant) -> bool:
        """Put a login that works into the namespace's Secret, unless one is there. False if it is the shared one."""
        shared, known = tenants.shared_url(self._settings.store_url, tenant), await self._secret_url(namespace)
        if known is not None and _place(known) == _place(shared) and await self.call(tenants.login_works, known):
            return known != shared
        url = await self._new_login(tenant)
        await self._publish(namespace, url or shared)
        return url is not None

    async def _new_login(self, tenant: tenants.Tenant) -> str | None:
        """None where the administrator may not make roles."""
        if not self._settings.roles:
            return None
        try:
            limit = self._settings.connections
            return await self.call(tenants.create_role, self._settings.store_url, tenant, connections=limit)
        except PermissionRefused:
            return None

    async def _publish(self, namespace: str, url: str, annotations: Mapping[str, str] | None = None) -> None:
        url, certificate = address.portable(url)
        await self._cluster.apply(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": names.TENANT_SECRET,
                    "namespace": namespace,
                    "labels": {"app.kubernetes.io/managed-by": names.FIELD_MANAGER},
                    "annotations": dict(annotations or {}),
                },
                "stringData": {
                    names.TENANT_SECRET_KEY: url,
                    **({address.CERTIFICATE: certificate} if certificate else {}),
                },
            }
        )

    async def _secret_url(self, namespace: str) -> str | None:
        try:
            secret = await self._cluster.read_secret(namespace, names.TENANT_SECRET)
            return _url_in(secret, names.TENANT_SECRET_KEY) if names.TENANT_SECRET_KEY in secret else None
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
        try:
            url = _url_in(secret, key)
        except (ArgumentError, ValueError):  # whose text may quote the password
            raise SecretUnusable(
                f"spec.storage: key {key!r} of Secret {name!r} is not a URL; write "
                "postgresql://USER:PASSWORD@HOST/DATABASE, with %-escapes for what is special in URLs"
            ) from None
        if not address.is_postgresql(url):
            raise SecretUnusable(f"spec.storage: key {key!r} of Secret {name!r}: {address.ONLY_POSTGRESQL}")
        if url not in self._boards:
            try:
                await self.call(schema.create, url)
            except ProgrammingError as error:  # an option that its library does not know
                raise SecretUnusable(
                    f"spec.storage: the URL in Secret {name!r} is not understood: {error.orig}"
                ) from error
        return Location(url, None, name, key)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _place(url: str) -> tuple[object, ...]:
    """The database behind the URL, whoever logs in."""
    parsed = make_url(url)
    return parsed.host, parsed.port, parsed.database, parsed.query.get("host")


def _url_in(secret: Mapping[str, str], key: str) -> str:
    """The URL; with the Secret's certificate, if it has one, as a file that the database's library can read."""
    url = secret[key].strip()
    make_url(url)
    if address.CERTIFICATE not in secret:
        return url
    certificate = secret[address.CERTIFICATE].encode()
    file = Path(tempfile.gettempdir()) / f"tuning-{hashlib.sha256(certificate).hexdigest()[:16]}.crt"
    if not file.exists():
        file.write_bytes(certificate)
    return address.trusting(url, file)
