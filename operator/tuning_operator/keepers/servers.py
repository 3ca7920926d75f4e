"""Which Prometheus is asked about a namespace's studies: its own, by its Secret, or the chart's. Used by the keepers
that ask one."""

import time

from tuning_kube.client import Cluster
from tuning_kube.errors import ClusterError, NotFound
from tuning_prometheus.answer import Missing
from tuning_prometheus.client import Server
from tuning_study.api.production import PrometheusServer

_SECRET_HOLDS = 30.0  # seconds for which a Secret is not read again


class Servers:
    def __init__(self, default_url: str | None, cluster: Cluster) -> None:
        self._url, self._cluster = default_url, cluster
        self._known: dict[tuple[str, str], tuple[float, Server | Missing]] = {}

    async def of(self, namespace: str, own: PrometheusServer | None) -> tuple[Server | Missing, str | None]:
        """The server, and whose its queries are, where it serves all namespaces."""
        if own is None:
            if self._url is None:
                return Missing(
                    "Refused",
                    "there is no Prometheus to ask: name one in production.prometheus.secretName, or set the chart's"
                    " prometheus.url",
                ), None
            return Server(self._url), namespace
        place = namespace, own.secret_name
        known = self._known.get(place)
        if known is None or time.monotonic() - known[0] > _SECRET_HOLDS:
            self._known[place] = known = time.monotonic(), await self._by_secret(*place)
        return known[1], None

    async def _by_secret(self, namespace: str, secret: str) -> Server | Missing:
        try:
            keys = await self._cluster.read_secret(namespace, secret)
        except NotFound:
            return Missing("Refused", f"production.prometheus: there is no Secret {secret} in this namespace")
        except (ClusterError, ValueError) as error:
            return Missing("Unavailable", f"production.prometheus: the Secret {secret} cannot be read: {error}")
        if not keys.get("url"):
            return Missing("Refused", f"production.prometheus: the Secret {secret} has no key `url`")
        return Server(
            keys["url"].strip(), keys.get("token"), keys.get("username"), keys.get("password"), keys.get("ca.crt")
        )
