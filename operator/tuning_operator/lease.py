"""Leader election: of several replicas one reconciles, the one that holds the Lease."""

from collections.abc import Awaitable
from contextlib import suppress

import aiohttp
from kubernetes.aio.client import ApiClient, CoordinationV1Api, V1Lease, V1ObjectMeta
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from tuning_operator.settings import Settings

NAME = "tuning-operator"
DURATION, RENEW_WITHIN, RETRY = 15, 10, 2  # seconds


def lock(api: ApiClient, settings: Settings) -> LeaseLock:
    return PatientLease(NAME, settings.namespace, settings.identity, api)


async def release(api: ApiClient, settings: Settings) -> None:
    """Give the Lease up, so that another replica need not wait until it runs out."""
    with suppress(ApiException, aiohttp.ClientError, TimeoutError, OSError):
        leases = CoordinationV1Api(api)
        held = await leases.read_namespaced_lease(NAME, settings.namespace)
        if held.spec.holder_identity == settings.identity:
            held.spec.holder_identity = None
            await leases.replace_namespaced_lease(NAME, settings.namespace, held)


class PatientLease(LeaseLock):
    """The library's Lease, for which an API server that does not answer is one more failed try, not a crash."""

    async def get(self, name: str, namespace: str) -> tuple[bool, LeaderElectionRecord | Exception | None]:
        try:
            found: tuple[bool, LeaderElectionRecord | Exception | None] = await super().get(name, namespace)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            return False, ApiException(status=0, reason=str(error))
        return found

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        return await _tried(self._create(name, namespace, election_record))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        return await _tried(super().update(name, namespace, updated_record))

    async def _create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        # The library's own asks for `pretty=True`, which its client refuses as no string.
        lease = V1Lease(metadata=V1ObjectMeta(name=name), spec=self.update_lease(election_record))
        try:
            await self.api_instance.create_namespaced_lease(namespace, lease)
        except ApiException:
            return False
        return True


async def _tried(attempt: Awaitable[object]) -> bool:
    try:
        return bool(await attempt)
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False
