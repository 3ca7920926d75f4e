"""Which studies there are, by the names that alerts and observations give them. Used by the exporter's HTTP."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence

from tuning_exporter.inbox.alerts import Study
from tuning_kube.client import STUDIES, Cluster

_FRESH = 30.0  # seconds; a study that is deleted and made anew is a new one only then
_PAUSE = 1.0  # seconds between two listings for names that nobody knows


class StudyIndex:
    """For one event loop. A listing of metadata costs the API server little, however many alerts name studies."""

    def __init__(self, cluster: Cluster, namespaces: Sequence[str]) -> None:
        self._cluster, self._namespaces = cluster, namespaces
        self._uids: Mapping[Study, str] = {}
        self._listed_at = float("-inf")
        self._lock = asyncio.Lock()

    async def uids(self, wanted: Collection[Study]) -> Mapping[Study, str]:
        """Of those that exist. Raises ClusterError."""
        async with self._lock:
            age = time.monotonic() - self._listed_at
            if age > _FRESH or (age > _PAUSE and not self._uids.keys() >= set(wanted)):
                listed = await self._cluster.list_metadata(STUDIES, self._namespaces)
                self._uids = {(study["namespace"], study["name"]): study["uid"] for study in listed}
                self._listed_at = time.monotonic()
        return {study: self._uids[study] for study in wanted if study in self._uids}
