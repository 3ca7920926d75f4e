"""Looks after the namespaces' logins: new passwords where one is asked for, and the end of sessions that block the
operator. A task of the leading replica."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

import structlog
from sqlalchemy import create_engine

from tuning_kube import names
from tuning_kube.client import SECRETS, Cluster
from tuning_kube.errors import ClusterError, Forbidden, NotFound
from tuning_operator.provision import Provisioner
from tuning_operator.settings import Settings
from tuning_store import tenants
from tuning_store.exceptions import StoreError
from tuning_store.urls import driver_url, engine_arguments

log = structlog.get_logger()

_BETWEEN_LISTINGS = 5.0  # seconds; how soon a request for a new password is seen
_LONGEST_WAIT = 10.0  # seconds that the operator waits for a lock that a namespace holds


class LoginKeeper:
    """Lists the Secrets of the namespaces by their metadata alone: one request, however many there are."""

    def __init__(self, settings: Settings, cluster: Cluster, provisioner: Provisioner) -> None:
        self._watched, self._cluster = settings.watch_namespaces, cluster
        self._provisioner = provisioner
        # Not the operator's own connections and threads: what it is to end may hold all of them.
        self._engine = create_engine(driver_url(settings.store_url), **engine_arguments(settings.store_url))
        self._thread = ThreadPoolExecutor(1, "logins")

    async def run(self) -> None:
        await asyncio.gather(
            _every(_BETWEEN_LISTINGS, self.answer_requests), _every(_LONGEST_WAIT / 2, self.end_blockers)
        )

    async def answer_requests(self) -> None:
        """A new password where the Secret's annotation asks for one, and a new Secret where ours was deleted."""
        known = self._provisioner.namespaces()
        named = f"metadata.name={names.TENANT_SECRET}"
        listed = await self._cluster.list_metadata(SECRETS, self._watched, fieldSelector=named)
        found = {secret["namespace"]: secret for secret in listed}
        wanted: dict[str, str | None] = {namespace: None for namespace in known if namespace not in found}
        for namespace, metadata in found.items():
            annotations = metadata.get("annotations") or {}
            request = annotations.get(names.ROTATE_ANNOTATION)
            if request is not None and request != annotations.get(names.ROTATE_HANDLED_ANNOTATION):
                wanted[namespace] = request
        for namespace, request in wanted.items():
            await self._rotate(namespace, request)

    async def end_blockers(self) -> None:
        ended = await asyncio.get_running_loop().run_in_executor(
            self._thread, tenants.end_blocking_sessions, self._engine, _LONGEST_WAIT
        )
        if ended:
            log.warning("ended sessions that kept the operator waiting for a lock", namespaces=ended)

    async def _rotate(self, namespace: str, request: str | None) -> None:
        try:
            problem = await self._provisioner.rotate(namespace, request)
        except (NotFound, Forbidden):  # it ends, or is no longer ours to look after
            self._provisioner.forget(namespace)
            return
        log.info("the namespace has a new password" if problem is None else problem, namespace=namespace)


async def _every(seconds: float, look: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await look()
        except Exception as error:  # the next look may find it mended, and nobody else looks
            known = isinstance(error, StoreError | ClusterError)
            log.warning("logins are not looked after", error=str(error), exc_info=not known)
