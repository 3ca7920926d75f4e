"""Asks the operator for new passwords: it alone knows the database's administrator."""

import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from uuid import uuid4

from tuning_client.cluster.client import Cluster
from tuning_client.exceptions import ClusterError, WrongUse
from tuning_kube import names

_WAIT = 60.0  # seconds for the operator to answer; it looks every few seconds
_BETWEEN_LOOKS = 0.5


def rotate(cluster: Cluster, *, everywhere: bool) -> Iterator[tuple[str, str]]:
    """Each namespace with what became of the request, as the answers come. Raises ClusterError where one is missing.

    A namespace may end meanwhile, and its login with it; nobody waits for that one.
    """
    found = cluster.secrets_named(names.TENANT_SECRET, everywhere=everywhere)
    if not found:
        place = "in any namespace" if everywhere else f"in namespace {cluster.namespace}"
        raise WrongUse(f"there is no Secret {names.TENANT_SECRET} {place}: no study has used the operator's PostgreSQL")
    request = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}-{uuid4().hex[:8]}"
    waiting = {namespace for namespace, _ in found}
    for namespace in sorted(waiting):
        with suppress(WrongUse):
            cluster.annotate_secret(namespace, names.TENANT_SECRET, {names.ROTATE_ANNOTATION: request})
    until = time.monotonic() + _WAIT
    while waiting and time.monotonic() < until:
        time.sleep(_BETWEEN_LOOKS)
        seen = dict(cluster.secrets_named(names.TENANT_SECRET, everywhere=everywhere))
        waiting &= seen.keys()
        for namespace in sorted(waiting):
            if seen[namespace].get(names.ROTATE_HANDLED_ANNOTATION) == request:
                waiting.remove(namespace)
                yield namespace, seen[namespace].get(names.ROTATE_PROBLEM_ANNOTATION, "")
    if waiting:
        raise ClusterError(
            f"no answer within {_WAIT:.0f}s for {', '.join(sorted(waiting))}: is the operator running, and does it "
            "watch these namespaces? The request stays, and is answered when it does"
        )
