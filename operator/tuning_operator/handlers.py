"""The only module that knows kopf: it receives events and hands them on. Nothing is decided here.

Plain event handlers leave nothing on the resource, neither finalizer nor annotations, so that a deletion never waits
for the operator, and a look costs no API write.
"""

import asyncio
import sys
from typing import Any

import kopf

from tuning_kube import names
from tuning_operator.loops import Loops
from tuning_study.api.resource import GROUP, PLURAL, VERSION

_REQUEST_TIMEOUT = 30.0  # seconds
_SILENCE = 40.0  # seconds without an event until a watch is opened anew: some networks drop a connection without a FIN
_OF_A_JOB = ("namespace", "name", "uid", "resourceVersion", "labels", "deletionTimestamp")
_ANNOTATIONS = (names.WORKERS_ANNOTATION, names.REPLICAS_ANNOTATION, names.SUSPENDED_ANNOTATION)
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_PAGE = 100  # objects in one answer of the first list: parsed, they take many times the memory of their JSON
_BACKOFFS = (1, 1, 2, 3, 5, *[8] * 100)  # seconds; kopf's own grow to 21, and end with the operator after 54


async def watch(loops: Loops, identity: str, namespaces: tuple[str, ...], stop: asyncio.Event) -> None:
    """Watch studies and their Jobs until `stop` is set; in `namespaces`, which then must serve studies already."""
    await kopf.operator(
        registry=_registry(loops, clusterwide=not namespaces),
        settings=_settings(clusterwide=not namespaces),
        identity=identity,  # type: ignore[arg-type]  # a NewType of str that kopf does not export
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )


def _registry(loops: Loops, clusterwide: bool) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def study_seen(type: str | None, body: kopf.Body, **_: Any) -> None:
        loops.saw_study(_plain(body), deleted=type == "DELETED")

    @kopf.on.event("batch", "v1", "jobs", labels={names.STUDY_LABEL: kopf.PRESENT}, registry=registry)
    async def job_seen(type: str | None, body: kopf.Body, **_: Any) -> None:
        metadata, spec, status = body["metadata"], body["spec"], body.get("status", {})
        annotations = metadata.get("annotations") or {}
        ours = {key: annotations[key] for key in _ANNOTATIONS if key in annotations}
        job = {
            "metadata": {key: metadata[key] for key in _OF_A_JOB if key in metadata} | {"annotations": ours},
            "spec": {"parallelism": spec.get("parallelism", 0), "suspend": spec.get("suspend", False)},
            "status": {key: value for key, value in status.items() if key != "uncountedTerminatedPods"},
        }
        loops.saw_job(_shared(job), deleted=type == "DELETED")

    if clusterwide:  # else the operator may not watch namespaces

        @kopf.on.event("", "v1", "namespaces", registry=registry)
        async def namespace_seen(body: kopf.Body, **_: Any) -> None:
            loops.saw_namespace(body["metadata"]["name"], ends="deletionTimestamp" in body["metadata"])

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    return registry


def _settings(clusterwide: bool) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    # Else kopf looks for namespaces and kinds that come and go, and waits for ever for rights that it then lacks.
    settings.scanning.disabled = not clusterwide
    settings.peering.standalone = True  # peering is no leader election; the Lease is
    settings.posting.enabled = False
    settings.networking.request_timeout = _REQUEST_TIMEOUT
    settings.watching.label_selectors["batch", "jobs"] = names.STUDY_LABEL
    settings.networking.error_backoffs = _BACKOFFS
    settings.watching.inactivity_timeout = _SILENCE
    settings.watching.chunk_size = _PAGE
    settings.queueing.idle_timeout = 1.0  # seconds; at the end kopf waits this long for each kind of object
    settings.queueing.exit_timeout = 1.0
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.batching._batch_window = 0.0  # every look reads the latest state anyway
    return settings


class _NoDiffs(kopf.DiffBaseStorage):
    """Spares kopf the copy of each object, from which it would tell what changed: nobody asks."""

    def build(self, **_: Any) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        return None


def _plain(body: kopf.Body) -> dict[str, Any]:
    """The body as it is now; kopf's own is a view that changes with the next event.

    The field managers and what kubectl applied are left out: nobody reads them, and with a thousand studies they would
    take most of the memory.
    """
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    if _LAST_APPLIED in metadata.get("annotations", ()):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != _LAST_APPLIED}
    plain: dict[str, Any] = _shared({**body, "metadata": metadata})
    return plain


def _shared(value: Any) -> Any:
    """The same, with one copy of each field's name: every event brings its own, 8 kB for each object that is kept."""
    if isinstance(value, dict):
        return {sys.intern(key): _shared(entry) for key, entry in value.items()}
    return [_shared(entry) for entry in value] if isinstance(value, list) else value
