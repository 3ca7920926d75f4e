"""Makes what a study needs before it can be looked at: its place in a store, and a login to it in a Secret.

The operator's own PostgreSQL gets a schema and a role for each namespace; a store that a study brings gets its tables.
This is the one module that makes them; everything can be repeated, and an operator that takes over finds what is there.
"""

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, ProgrammingError

from tuning_kube import names
from tuning_kube.client import Cluster
from tuning_kube.errors import Forbidden, NotFound
from tuning_operator import reasons
from tuning_operator.exceptions import SecretUnusable
from tuning_operator.objects.tenant_secret import tenant_secret
from tuning_operator.observe.observation import StoreProblem
from tuning_operator.settings import Settings
from tuning_operator.stores import Location, Stores
from tuning_store import address, schema, tenants
from tuning_store.exceptions import AuthenticationRefused, PermissionRefused, SchemaMismatch
from tuning_study.api.storage import Storage

_SECRET_HOLDS = 30.0  # seconds for which a study's own Secret is not read again
_SHARED = "all namespaces share the administrator's login; change its password, and the Secret that tells the operator"


class Provisioner:
    """Used by the event loop alone. What it remembers spares statements and requests; forgetting it costs those."""

    def __init__(self, settings: Settings, cluster: Cluster, stores: Stores) -> None:
        self._settings, self._cluster, self._stores = settings, cluster, stores
        self._tenants: dict[str, Location] = {}
        self._made: set[str] | None = None  # schemas that need nothing more; None before anybody asked
        self._brought: dict[tuple[str, str, str], tuple[Location, float]] = {}  # by namespace, Secret and key
        self._prepared: set[str] = set()  # URLs of stores that have their tables
        self._making = asyncio.Lock()

    async def provision(self, namespace: str, storage: Storage | None) -> Location:
        """Find or make the store of a study. Raises StoreError, SecretUnusable and ClusterError."""
        if storage is not None:
            return await self._own_of(namespace, storage)
        return self._tenants.get(namespace) or await self._tenant(namespace)

    def namespaces(self) -> list[str]:
        """The namespaces that have a place in the operator's PostgreSQL, as far as it has looked."""
        return sorted(self._tenants)

    async def rotate(self, namespace: str, request: str | None = None) -> str | None:
        """A new password for the namespace's role, in its Secret. Returns why there is none.

        One that is cut off half way is made whole by repeating it; until then the Secret's password does not work.
        """
        async with self._making:
            tenant = tenants.tenant_of(namespace, self._stores.owner)
            url, answer = await self._new_login(tenant), {}
            if request is not None:
                answer = {
                    names.ROTATE_HANDLED_ANNOTATION: request,
                    **({names.ROTATED_AT_ANNOTATION: _now()} if url else {names.ROTATE_PROBLEM_ANNOTATION: _SHARED}),
                }
            shared = tenants.shared_url(self._settings.store_url, tenant)
            await self._cluster.apply(tenant_secret(namespace, url or shared, answer))
            return None if url else _SHARED

    def forget(self, namespace: str) -> None:
        """The namespace is gone; should it come back, its place is found or made anew."""
        self._tenants.pop(namespace, None)
        if self._made is not None:
            self._made.discard(tenants.tenant_of(namespace, self._stores.owner).schema)

    async def _tenant(self, namespace: str) -> Location:
        async with self._making:
            if namespace in self._tenants:
                return self._tenants[namespace]
            admin, tenant = self._settings.store_url, tenants.tenant_of(namespace, self._stores.owner)
            if self._made is None:
                self._made = await self._stores.call(tenants.made, self._stores.admin_engine())
            if tenant.schema not in self._made:
                await self._stores.call(tenants.create, admin, tenant)
                self._made.add(tenant.schema)
            shared = not await self._keep_login(namespace, tenant)
            location = Location(admin, tenant.schema, names.TENANT_SECRET, names.TENANT_SECRET_KEY, shared)
            self._tenants[namespace] = location
            return location

    async def _keep_login(self, namespace: str, tenant: tenants.Tenant) -> bool:
        """Put a login that works into the namespace's Secret, unless one is there. False if it is the shared one."""
        shared, known = tenants.shared_url(self._settings.store_url, tenant), await self._secret_url(namespace)
        if (
            known is not None
            and _place(known) == _place(shared)
            and await self._stores.call(tenants.login_works, known)
        ):
            return known != shared
        url = await self._new_login(tenant)
        await self._cluster.apply(tenant_secret(namespace, url or shared))
        return url is not None

    async def _new_login(self, tenant: tenants.Tenant) -> str | None:
        """None where the administrator may not make roles."""
        if not self._settings.roles:
            return None
        try:
            limit = self._settings.connections
            return await self._stores.call(tenants.create_role, self._settings.store_url, tenant, connections=limit)
        except PermissionRefused:
            return None

    async def _secret_url(self, namespace: str) -> str | None:
        try:
            secret = await self._cluster.read_secret(namespace, names.TENANT_SECRET)
            return _url_in(secret, names.TENANT_SECRET_KEY) if names.TENANT_SECRET_KEY in secret else None
        except NotFound:
            return None

    def read_again(self, namespace: str, storage: Storage | None) -> None:
        """The store refuses the login: the Secret may hold another by now."""
        if storage is not None:
            self._brought.pop((namespace, storage.secret_name, storage.key), None)

    async def _own_of(self, namespace: str, storage: Storage) -> Location:
        which = namespace, storage.secret_name, storage.key
        location, read_at = self._brought.get(which, (None, 0.0))
        if location is None or time.monotonic() - read_at > _SECRET_HOLDS:
            location = await self._read_own(namespace, storage)
            self._brought[which] = location, time.monotonic()
            in_use = {location.url for location, _ in self._brought.values()}
            self._prepared &= in_use
            self._stores.close_all_but(in_use)
        return location

    async def _read_own(self, namespace: str, storage: Storage) -> Location:
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
        if url not in self._prepared:
            try:
                await self._stores.call(schema.create, url)
                self._prepared.add(url)
            except ProgrammingError as error:  # an option that its library does not know
                raise SecretUnusable(
                    f"spec.storage: the URL in Secret {name!r} is not understood: {error.orig}"
                ) from error
        return Location(url, None, name, key)


def store_problem(error: Exception) -> StoreProblem:
    """Why a store cannot be used, as the condition StoreReady tells it."""
    match error:
        case AuthenticationRefused():
            return StoreProblem(reasons.AUTHENTICATION_FAILED, f"the store refuses the login: {error}")
        case PermissionRefused():
            return StoreProblem(reasons.PERMISSION_DENIED, f"the store's role may not do what is needed: {error}")
        case SchemaMismatch():
            return StoreProblem(reasons.SCHEMA_MISMATCH, str(error))
        case SecretUnusable():
            return StoreProblem(reasons.SECRET_UNUSABLE, str(error))
        case Forbidden():
            advice = "let the chart's watchNamespaces list the namespace, or leave it empty"
            return StoreProblem(
                reasons.SECRET_UNUSABLE, f"the operator may not keep its Secret here: {error}; {advice}"
            )
        case _:
            return StoreProblem(reasons.UNREACHABLE, f"the store cannot be reached: {error}")


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
