"""Which store serves a study: a namespace's place in the operator's PostgreSQL, or one that the study brings."""

import asyncio
import hashlib
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
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
from tuning_store.progress import Place, Progress
from tuning_store.storage import Store, open_store
from tuning_store.urls import driver_url, engine_arguments
from tuning_study.spec import Storage

R = TypeVar("R")
_REMEMBERED = 1.5  # seconds after which nobody who looks each second still asks
_OLD = 0.35  # seconds after which a reading is worth another when there is one anyway
_SECRET_HOLDS = 30.0  # seconds for which a study's own Secret is not read again
_IDLE = 10.0  # seconds until a store that nobody uses is closed
_MOST_OPEN = 24  # stores, each with a connection
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
    """The progress of rounds behind one URL, of those that are asked for. Who asks together shares one statement."""

    def __init__(self, url: str) -> None:
        self.engine: Engine = create_engine(driver_url(url), **engine_arguments(url))
        self._asked: dict[Place, float] = {}  # when last; this and the next by the monotonic clock
        self._found: dict[Place, tuple[float, Progress | None]] = {}  # and when that was read
        self._lock = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, "progress")  # its own, so that it waits behind nobody's start of a round

    async def progress(self, place: Place, not_before: float) -> Progress | None:
        """The round as it was at the monotonic time `not_before` or later."""
        self._asked[place] = time.monotonic()
        async with self._lock:
            if place not in self._found or self._found[place][0] < not_before:
                await self._read(place)
            return self._found[place][1]

    async def _read(self, place: Place) -> None:
        """`place`, and with it those that are asked for so often that they will be next."""
        now = time.monotonic()
        self._asked = {other: at for other, at in self._asked.items() if now - at < _REMEMBERED}
        self._found = {other: self._found[other] for other in self._asked if other in self._found}
        old = {other for other in self._asked if other not in self._found or now - self._found[other][0] > _OLD}
        wanted: dict[str | None, list[str]] = defaultdict(list)
        for where, study in old | {place}:
            wanted[where].append(study)
        read = partial(progress.read_some, self.engine, wanted)
        found = await asyncio.get_running_loop().run_in_executor(self._thread, read)
        self._found |= {other: (now, found.get(other)) for other in old | {place}}


class OpenStores:
    """Stores that stay open between the starts of rounds: to open one costs more than to start a round."""

    def __init__(self) -> None:
        self._idle: dict[Location, tuple[Store, float]] = {}  # the one used last is last, with its moment
        self._turns: dict[Location, asyncio.Lock] = defaultdict(asyncio.Lock)
        # Few threads: Python runs one at a time, and the event loop waits for each that has work.
        self._threads = ThreadPoolExecutor(2, "starts")

    async def call(self, location: Location, function: Callable[[Store], R]) -> R:
        """Run a blocking function of the store; one at a time in each, so that one connection is enough."""
        loop = asyncio.get_running_loop()
        async with self._turns[location]:
            store, _ = self._idle.pop(location, (None, 0.0))
            if store is None:
                opening = partial(open_store, location.url, schema=location.schema)
                store = await loop.run_in_executor(self._threads, opening)
            try:
                return await loop.run_in_executor(self._threads, function, store)
            finally:
                self._idle[location] = store, time.monotonic()
                loop.call_later(_IDLE, self._close_idle)
                self._close_idle()

    def _close_idle(self) -> None:
        until = time.monotonic() - _IDLE
        for location, (store, used) in list(self._idle.items()):
            if used <= until or len(self._idle) > _MOST_OPEN:
                del self._idle[location]
                self._threads.submit(store.close)


class Stores:
    def __init__(self, settings: Settings, cluster: Cluster, owner: str) -> None:
        self._settings, self._cluster, self.owner = settings, cluster, owner
        self._boards: dict[str, Board] = {}
        self._threads = ThreadPoolExecutor(4, "store")
        self.open = OpenStores()
        self._tenants: dict[str, Location] = {}
        self._made: set[str] | None = None  # schemas that need nothing more; None before anybody asked
        self._brought: dict[tuple[str, str, str], tuple[Location, float]] = {}  # by namespace, Secret and key
        self._making = asyncio.Lock()

    async def locate(self, namespace: str, storage: Storage | None) -> Location:
        """Find or make the store of a study. Raises StoreError, SecretUnusable and ClusterError."""
        if storage is not None:
            return await self._own_of(namespace, storage)
        return self._tenants.get(namespace) or await self._tenant(namespace)

    def board(self, location: Location) -> Board:
        return self._board(location.url)

    def engine(self, location: Location) -> Engine:
        """The board's connections, with the schema in every statement: what SQLAlchemy compiles serves all of them."""
        return self.board(location).engine.execution_options(schema_translate_map={None: location.schema})

    def admin_board(self) -> Board:
        return self._board(self._settings.store_url)

    def _board(self, url: str) -> Board:
        if url not in self._boards:
            self._boards[url] = Board(url)
        return self._boards[url]

    async def call(self, function: Callable[..., R], *args: object, **kwargs: object) -> R:
        """Run a blocking store function beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(function, *args, **kwargs))

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
        if self._made is not None:
            self._made.discard(tenants.tenant_of(namespace, self.owner).schema)

    async def _tenant(self, namespace: str) -> Location:
        async with self._making:
            if namespace in self._tenants:
                return self._tenants[namespace]
            admin, tenant = self._settings.store_url, tenants.tenant_of(namespace, self.owner)
            if self._made is None:
                self._made = await self.call(tenants.made, self.admin_board().engine)
            if tenant.schema not in self._made:
                await self.call(tenants.create, admin, tenant)
                self._made.add(tenant.schema)
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
