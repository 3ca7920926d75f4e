"""Every call to the Kubernetes API, with its errors as ours."""

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar

import aiohttp
from kubernetes.aio import client, config
from kubernetes.aio.client.exceptions import ApiException

from tuning_kube import names
from tuning_kube.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Unavailable, error_message
from tuning_study.api.resource import API_VERSION, GROUP, KIND, PLURAL, VERSION
from tuning_study.text import truncate

P = ParamSpec("P")
R = TypeVar("R")
_JSON = "application/json"
_METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_APPLY = "application/apply-patch+yaml;charset=utf-8"
_MERGE = "application/merge-patch+json"
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")  # or read as an end of a line
_SURROGATES = re.compile("[\ud800-\udfff]")
_TIMEOUT = 15.0  # seconds for one request
_PAGE = 100  # objects
_CONNECTIONS = 16  # at once: each has a quarter of a megabyte for TLS, and the API server works off no more than some
STUDIES = f"/apis/{GROUP}/{VERSION}/*/{PLURAL}"
JOBS = "/apis/batch/v1/*/jobs"
SECRETS = "/api/v1/*/secrets"
NAMESPACES = "/api/v1/namespaces"


def _translated(call: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    async def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(*args, **kwargs)
        except ApiException as error:
            raise _ours(error) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unavailable(f"the API server does not answer: {error}") from error

    return wrapped


def _ours(error: ApiException) -> ClusterError:
    kinds: dict[int | None, type[ClusterError]] = {400: Invalid, 403: Forbidden, 404: NotFound, 409: Conflict}
    kinds |= {422: Invalid, 500: Invalid}  # 500: what an apply with a wrong quantity is answered
    passing = error.status == 429 or error.status is None or error.status > 500
    kind = Unavailable if passing else kinds.get(error.status, ClusterError)
    return kind(f"{error.status} {error.reason}: {error_message(error.body or '')[:1000]}", error.status or 0)


def apply_body(document: Mapping[str, Any]) -> bytes:
    """The body of a server-side apply, which the API server reads as YAML: JSON that YAML reads alike.

    Characters beyond the basic plane stand as they are, for YAML refuses the pairs of surrogates that JSON escapes
    them with; halves of such pairs, which no UTF-8 has, become the replacement character.
    """
    text = _SURROGATES.sub("\ufffd", json.dumps(document, ensure_ascii=False))
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text).encode()


def _study_path(namespace: str, name: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}/{name}"


def _deployment_path(namespace: str, name: str) -> str:
    return f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"


def _rollout_path(namespace: str, name: str) -> str:
    return f"/apis/argoproj.io/v1alpha1/namespaces/{namespace}/rollouts/{name}"


def _paths(path: str, namespaces: Sequence[str]) -> Sequence[str]:
    """`path` in each of the namespaces, or in all when none is named."""
    return [path.replace("*", f"namespaces/{namespace}") for namespace in namespaces] or [path.replace("/*", "")]


class Cluster:
    """One client for the whole operator; enter it to connect with the pod's account, or the kubeconfig's."""

    def __init__(self, on_write: Callable[[], None] = lambda: None) -> None:
        self._on_write = on_write  # called for every request that changes something

    async def __aenter__(self) -> Self:
        try:
            config.load_incluster_config()
        except config.ConfigException:
            await config.load_kube_config()
        configuration = client.Configuration.get_default_copy()
        # Else each request looks for .netrc and for proxies in threads, and waits there behind the store's.
        configuration.client_session_kwargs = {"trust_env": False}
        configuration.connection_pool_maxsize = _CONNECTIONS
        self.api = client.ApiClient(configuration)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.api.close()

    @_translated
    async def identity(self) -> str:
        """A name that this cluster keeps for its life, and no other has: the uid of kube-system."""
        return str((await self._request("GET", "/api/v1/namespaces/kube-system"))["metadata"]["uid"])

    @_translated
    async def apply(self, body: Mapping[str, Any]) -> None:
        """Create the object, or make the fields that we set as given."""
        group = body["apiVersion"]
        prefix = "/api/v1" if group == "v1" else f"/apis/{group}"
        plural = {"ConfigMap": "configmaps", "Job": "jobs", "Secret": "secrets"}[body["kind"]]
        metadata = body["metadata"]
        path = f"{prefix}/namespaces/{metadata['namespace']}/{plural}/{metadata['name']}"
        await self._write("PATCH", path, body, _APPLY, [("fieldManager", names.FIELD_MANAGER), ("force", "true")])

    @_translated
    async def create_config_map(self, body: Mapping[str, Any]) -> None:
        """Create the ConfigMap; nothing happens when it is there."""
        try:
            path = f"/api/v1/namespaces/{body['metadata']['namespace']}/configmaps"
            await self._write("POST", path, body, query=[("fieldManager", names.FIELD_MANAGER)])
        except ApiException as error:
            if error.status != 409:
                raise

    @_translated
    async def delete_config_map(self, namespace: str, name: str) -> None:
        """Remove a ConfigMap; nothing happens when it is gone."""
        await self._delete(f"/api/v1/namespaces/{namespace}/configmaps/{name}", {})

    @_translated
    async def read_deployment(self, namespace: str, name: str) -> Mapping[str, Any]:
        deployment: Mapping[str, Any] = await self._request("GET", _deployment_path(namespace, name))
        return deployment

    @_translated
    async def read_rollout(self, namespace: str, name: str) -> Mapping[str, Any]:
        """Of Argo Rollouts."""
        rollout: Mapping[str, Any] = await self._request("GET", _rollout_path(namespace, name))
        return rollout

    @_translated
    async def apply_to_target(self, body: Mapping[str, Any], *, try_only: bool = False) -> None:
        """Make some fields of somebody else's Deployment or Rollout as given; raises Conflict where others own one of
        them.

        With `try_only` nothing changes.
        """
        place = _deployment_path if body["kind"] == "Deployment" else _rollout_path
        path = place(body["metadata"]["namespace"], body["metadata"]["name"])
        query = [("fieldManager", names.PROMOTION_MANAGER), *([("dryRun", "All")] if try_only else [])]
        await self._write("PATCH", path, body, _APPLY, query)

    @_translated
    async def create_deployment(self, body: Mapping[str, Any], *, try_only: bool = False) -> None:
        """Create the Deployment; nothing happens when it is there. Raises Invalid when another one has its name.

        With `try_only` nothing is made.
        """
        query = [("fieldManager", names.FIELD_MANAGER), *([("dryRun", "All")] if try_only else [])]
        await self._create(f"/apis/apps/v1/namespaces/{body['metadata']['namespace']}/deployments", body, query)

    @_translated
    async def delete_deployment(self, namespace: str, name: str) -> None:
        """Remove a Deployment and its pods; nothing happens when it is gone."""
        await self._delete(_deployment_path(namespace, name), {"propagationPolicy": "Background"})

    @_translated
    async def create_job(self, body: Mapping[str, Any], *, try_only: bool = False) -> None:
        """Create the Job; nothing happens when it is there. Raises Invalid when another one has its name.

        Not applied: what was made may belong to a queue by now, which decides over some of its fields. With `try_only`
        nothing is made.
        """
        path = f"/apis/batch/v1/namespaces/{body['metadata']['namespace']}/jobs"
        query = [("fieldManager", names.FIELD_MANAGER), *([("dryRun", "All")] if try_only else [])]
        await self._create(path, body, query)

    @_translated
    async def patch_job(self, namespace: str, name: str, change: Mapping[str, Any]) -> Mapping[str, Any]:
        """Merges `change` into the Job. Returns it as it is now."""
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        query = [("fieldManager", names.FIELD_MANAGER)]
        job: Mapping[str, Any] = await self._write("PATCH", path, change, _MERGE, query)
        return job

    @_translated
    async def delete_job(self, namespace: str, name: str) -> None:
        """Remove a Job and its pods; nothing happens when it is gone."""
        path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{name}"
        await self._delete(path, {"propagationPolicy": "Background"})

    @_translated
    async def delete_pod(self, namespace: str, name: str) -> None:
        """Remove a pod; nothing happens when it is gone."""
        await self._delete(f"/api/v1/namespaces/{namespace}/pods/{name}", {})

    @_translated
    async def write_status(self, namespace: str, name: str, status: Mapping[str, Any], version: int) -> int:
        """Replace the study's status, unless the study changed since `version`. Returns its version then.

        Raises Conflict, so that a status which was decided on an old view, or by an operator that leads no more,
        never hides a newer one.
        """
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": name, "namespace": namespace, "resourceVersion": str(version)},
            "status": status,
        }
        path = f"{_study_path(namespace, name)}/status"
        query = [("fieldManager", names.FIELD_MANAGER), ("force", "true")]
        return int((await self._write("PATCH", path, body, _APPLY, query))["metadata"]["resourceVersion"])

    @_translated
    async def merge_status(self, namespace: str, name: str, fields: Mapping[str, Any], version: str) -> None:
        """Replace some fields of the study's status, unless the study changed since `version`. Raises Conflict."""
        body = {"metadata": {"resourceVersion": version}, "status": fields}
        query = [("fieldManager", names.FIELD_MANAGER)]
        await self._write("PATCH", f"{_study_path(namespace, name)}/status", body, _MERGE, query)

    @_translated
    async def list_studies(self, namespaces: Sequence[str] = ()) -> Sequence[Mapping[str, Any]]:
        """All studies, or those of `namespaces`, as they are now: no cache, as what is not among them is dropped."""
        return [study for path in _paths(STUDIES, namespaces) async for study in self._list(path)]

    @_translated
    async def list_metadata(self, path: str, namespaces: Sequence[str], **query: str) -> Sequence[Mapping[str, Any]]:
        """The metadata alone of what is at `path`, one of the above, in all namespaces or in those."""
        paths = _paths(path, namespaces)
        return [one["metadata"] for each in paths async for one in self._list(each, query, _METADATA)]

    @_translated
    async def read_study(self, namespace: str, name: str) -> Mapping[str, Any]:
        study: Mapping[str, Any] = await self._request("GET", _study_path(namespace, name))
        return study

    @_translated
    async def annotate_study(self, namespace: str, name: str, key: str, value: str, version: str) -> None:
        """Set one annotation, unless the study changed since `version`. Raises Conflict."""
        body = {"metadata": {"annotations": {key: value}, "resourceVersion": version}}
        await self._write("PATCH", _study_path(namespace, name), body, _MERGE)

    @_translated
    async def read_secret(self, namespace: str, name: str) -> dict[str, str]:
        secret = await self._request("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        return {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}

    @_translated
    async def review_token(self, token: str, audience: str) -> str | None:
        """The user whose token it is, if it is valid and made for that audience; else None."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        # Not _write: nothing is changed by it.
        status = (await self._request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)).get("status") or {}
        if not status.get("authenticated") or audience not in (status.get("audiences") or ()):
            return None
        return str(status["user"]["username"])

    @_translated
    async def list_pods(self, namespace: str, selector: str) -> Sequence[Mapping[str, Any]]:
        """As they are now: no cache, as a worker whose pod is not among them is taken for dead."""
        path = f"/api/v1/namespaces/{namespace}/pods"
        pods = [pod async for pod in self._list(path, {"labelSelector": selector})]
        return sorted(pods, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    @_translated
    async def list_events(self, namespace: str, **about: str) -> Sequence[Mapping[str, Any]]:
        """Events about the objects whose `uid`, or whose `kind`, is as given; the newest first."""
        chosen = ",".join(f"involvedObject.{field}={value}" for field, value in about.items())
        path = f"/api/v1/namespaces/{namespace}/events"
        events = [event async for event in self._list(path, {"fieldSelector": chosen})]
        return sorted(events, key=_event_time, reverse=True)

    @_translated
    async def record(
        self, study: Mapping[str, str], kind: str, reason: str, message: str, now: datetime, cause: str
    ) -> None:
        """An Event about a study; one with the same `cause` is told once, whoever tells it and however often."""
        digest = hashlib.sha256(f"{study['uid']}/{reason}/{message}/{cause}".encode(errors="replace")).hexdigest()[:16]
        time = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{study['name']}.{digest}", "namespace": study["namespace"]},
            "involvedObject": {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": study["name"],
                "namespace": study["namespace"],
                "uid": study["uid"],
            },
            "type": kind,
            "reason": reason,
            "message": truncate(message, 1024),
            "source": {"component": names.FIELD_MANAGER},
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        }
        try:
            await self._write("POST", f"/api/v1/namespaces/{study['namespace']}/events", body)
        except ApiException as error:
            if error.status not in (400, 403, 404, 409, 422):  # told already, the namespace is going, or it is refused
                raise

    async def _list(
        self, path: str, query: Mapping[str, str] | None = None, accept: str = _JSON
    ) -> AsyncIterator[Mapping[str, Any]]:
        """Page by page, and without the field managers: what is read takes many times the memory of its text."""
        asked, following = {"limit": str(_PAGE), **(query or {})}, "first"
        while following:
            page = await self._request("GET", path, query=list(asked.items()), accept=accept)
            for item in page.pop("items") or ():  # null when empty
                item["metadata"].pop("managedFields", None)
                yield item
            following = asked["continue"] = page["metadata"].get("continue", "")

    async def _create(self, path: str, body: Mapping[str, Any], query: Sequence[tuple[str, str]]) -> None:
        metadata = body["metadata"]
        try:
            await self._write("POST", path, body, query=query)
        except ApiException as error:
            if error.status != 409:
                raise
            found = (await self._request("GET", f"{path}/{metadata['name']}"))["metadata"]
            if found.get("ownerReferences") != metadata.get("ownerReferences") and "deletionTimestamp" not in found:
                told = f"another {body['kind']} has the name {metadata['name']}: delete it"
                raise Invalid(told, 409) from error

    async def _delete(self, path: str, options: Mapping[str, Any]) -> None:
        try:
            await self._write("DELETE", path, options)
        except ApiException as error:
            if error.status != 404:
                raise

    async def _write(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any],
        content_type: str = _JSON,
        query: Sequence[tuple[str, str]] = (),
    ) -> Any:
        self._on_write()
        sent = apply_body(body) if content_type == _APPLY else body
        return await self._request(method, path, sent, content_type, query)

    async def _request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes | None = None,
        content_type: str = _JSON,
        query: Sequence[tuple[str, str]] = (),
        accept: str = _JSON,
    ) -> Any:
        request = await self.api.param_serialize(
            method,
            path,
            query_params=list(query),
            header_params={"Accept": accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        response = await self.api.call_api(*request, _request_timeout=_TIMEOUT)
        if not 200 <= response.status <= 299:
            await response.read()
            self.api.response_deserialize(response, {})
        return await response.response.json()


def _event_time(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])
