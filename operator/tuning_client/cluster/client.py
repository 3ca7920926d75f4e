"""Every call to the Kubernetes API, and what its refusals mean for the person who asked."""

import base64
import getpass
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import urllib3.exceptions
from kubernetes import client, config, watch
from kubernetes.client import ApiException, AuthenticationV1Api, BatchV1Api, CoreV1Api, CustomObjectsApi
from kubernetes.config import ConfigException

from tuning_client.exceptions import ClusterError, WrongUse
from tuning_kube.errors import error_message
from tuning_kube.names import ROLE_LABEL, STUDY_LABEL, WORKER_ROLE
from tuning_study.api.resource import GROUP, KIND, PLURAL, VERSION

_TIMEOUT = (5, 30)  # seconds to connect, and between two bytes of an answer
_WATCH = 60  # seconds after which the server ends a watch, to be asked again
_OWN_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

Study = dict[str, Any]


@dataclass(frozen=True)
class Cluster:
    namespace: str
    context: str | None
    studies_api: CustomObjectsApi
    core_api: CoreV1Api
    jobs_api: BatchV1Api

    def studies(self) -> list[Study]:
        with _explained(f"list studies in namespace {self.namespace}", "the kind TuningStudy"):
            found = self.studies_api.list_namespaced_custom_object(
                GROUP, VERSION, self.namespace, PLURAL, _request_timeout=_TIMEOUT
            )
        return sorted(found["items"], key=lambda study: str(study["metadata"]["name"]))

    def study(self, name: str) -> Study:
        with self._asking("read", name):
            found: Study = self.studies_api.get_namespaced_custom_object(
                GROUP, VERSION, self.namespace, PLURAL, name, _request_timeout=_TIMEOUT
            )
        return found

    def change(self, name: str, patch: Mapping[str, Any]) -> Study:
        with self._asking("change", name):
            found: Study = self.studies_api.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                self.namespace,
                PLURAL,
                name,
                dict(patch),
                _content_type="application/merge-patch+json",
                _request_timeout=_TIMEOUT,
            )
        return found

    def apply(self, document: Mapping[str, Any]) -> None:
        """Make the study or the ConfigMap, or change the one of its name."""
        if document["kind"] == "ConfigMap":
            self._apply_config_map(document)
        else:
            self._apply_study(document)

    def _apply_study(self, document: Mapping[str, Any]) -> None:
        name = document["metadata"]["name"]
        with self._asking("create", name):
            try:
                self.studies_api.create_namespaced_custom_object(
                    GROUP, VERSION, self.namespace, PLURAL, document, _request_timeout=_TIMEOUT
                )
                return
            except ApiException as error:
                if error.status != 409:
                    raise
        self.change(name, document)

    def _apply_config_map(self, document: Mapping[str, Any]) -> None:
        name = document["metadata"]["name"]
        with _explained(f"write ConfigMap {name} in namespace {self.namespace}", f"namespace {self.namespace}"):
            try:
                self.core_api.create_namespaced_config_map(self.namespace, document, _request_timeout=_TIMEOUT)
            except ApiException as error:
                if error.status != 409:
                    raise
                self.core_api.replace_namespaced_config_map(name, self.namespace, document, _request_timeout=_TIMEOUT)

    def delete(self, name: str) -> None:
        with self._asking("delete", name):
            self.studies_api.delete_namespaced_custom_object(
                GROUP, VERSION, self.namespace, PLURAL, name, _request_timeout=_TIMEOUT
            )

    def worker_logs(self, study: str) -> Iterator[tuple[str, Iterator[str]]]:
        """Each worker's pod, the newest attempt, and what it has written."""
        chosen = f"{STUDY_LABEL}={study},{ROLE_LABEL}={WORKER_ROLE}"
        with _explained(f"read logs in namespace {self.namespace}", f"namespace {self.namespace}"):
            pods = self.core_api.list_namespaced_pod(
                self.namespace, label_selector=chosen, _request_timeout=_TIMEOUT
            ).items
            for pod in sorted(pods, key=lambda pod: str(pod.metadata.name)):
                if pod.status.phase == "Pending":
                    continue
                text = self.core_api.read_namespaced_pod_log(
                    pod.metadata.name, self.namespace, container=WORKER_ROLE, _request_timeout=_TIMEOUT
                )
                yield pod.metadata.name, iter(text.splitlines())

    def job(self, name: str) -> dict[str, Any] | None:
        """As the API server has it; None where there is none of that name."""
        try:
            found = self.jobs_api.read_namespaced_job(
                name, self.namespace, _preload_content=False, _request_timeout=_TIMEOUT
            )
        except ApiException as error:
            if error.status == 404:
                return None
            raise explain(error, f"read Job {name} in namespace {self.namespace}", f"Job {name}") from error
        job: dict[str, Any] = json.loads(found.data)
        return job

    def create_job(self, document: Mapping[str, Any]) -> None:
        with _explained(f"create a Job in namespace {self.namespace}", f"namespace {self.namespace}"):
            self.jobs_api.create_namespaced_job(self.namespace, dict(document), _request_timeout=_TIMEOUT)

    def job_end(self, name: str) -> str | None:
        """`Complete`, or why it failed; None while it is neither."""
        job = self.job(name)
        if job is None:
            raise ClusterError(f"Job {name} in namespace {self.namespace} was deleted")
        for condition in job.get("status", {}).get("conditions", ()):
            if condition["status"] == "True" and condition["type"] in ("Complete", "Failed"):
                return "Complete" if condition["type"] == "Complete" else str(condition.get("message", "no reason"))
        return None

    def job_log(self, name: str, container: str) -> str:
        """What the Job's newest pod has written; empty where it has none."""
        with _explained(f"read logs in namespace {self.namespace}", f"namespace {self.namespace}"):
            chosen = f"batch.kubernetes.io/job-name={name}"
            pods = self.core_api.list_namespaced_pod(
                self.namespace, label_selector=chosen, _request_timeout=_TIMEOUT
            ).items
            if not pods:
                return ""
            newest = max(pods, key=lambda pod: pod.metadata.creation_timestamp)
            text: str = self.core_api.read_namespaced_pod_log(
                newest.metadata.name, self.namespace, container=container, _request_timeout=_TIMEOUT
            )
        return text

    def change_unchanged(self, study: Study, patch: Mapping[str, Any]) -> bool:
        """Change the study unless it is no longer the one that was read; then returns False."""
        metadata = dict(patch.get("metadata", {})) | {"resourceVersion": study["metadata"]["resourceVersion"]}
        try:
            self.change(study["metadata"]["name"], {**patch, "metadata": metadata})
        except WrongUse as error:
            if isinstance(error.__cause__, ApiException) and error.__cause__.status == 409:
                return False
            raise
        return True

    def follow(self, name: str) -> Iterator[Study]:
        """The study as it stands, and again at each change. Ends when it is deleted."""
        while True:
            study = self.study(name)
            yield study
            with self._asking("watch", name):
                stream = watch.Watch().stream(
                    self.studies_api.list_namespaced_custom_object,
                    GROUP,
                    VERSION,
                    self.namespace,
                    PLURAL,
                    field_selector=f"metadata.name={name}",
                    resource_version=study["metadata"]["resourceVersion"],
                    timeout_seconds=_WATCH,
                    _request_timeout=(5, _WATCH + 10),
                )
                try:
                    for event in stream:
                        if event["type"] == "DELETED":
                            raise ClusterError(f"{KIND} {name} was deleted")
                        yield event["object"]
                except ApiException as error:
                    if error.status != 410:  # the version is too old to go on from: begin anew
                        raise
                except urllib3.exceptions.HTTPError:
                    time.sleep(1)  # a connection that broke is no news; whether the server is there, reading tells

    def events(self, uid: str, limit: int = 10) -> list[dict[str, Any]]:
        """The last events that tell of the study, not of an earlier one of its name; the newest last."""
        with _explained(f"list events in namespace {self.namespace}", "the namespace"):
            found = self.core_api.list_namespaced_event(
                self.namespace,
                field_selector=f"involvedObject.kind={KIND},involvedObject.uid={uid}",
                _request_timeout=_TIMEOUT,
            )
        entries = [
            {
                "time": event.last_timestamp or event.event_time or event.metadata.creation_timestamp,
                "type": event.type,
                "reason": event.reason,
                "message": event.message,
            }
            for event in found.items
        ]
        return sorted(entries, key=lambda entry: entry["time"])[-limit:]

    def config_map(self, name: str) -> dict[str, Any]:
        """As the API server has it."""
        with _explained(f"read ConfigMap {name} in namespace {self.namespace}", f"ConfigMap {name}"):
            found = self.core_api.read_namespaced_config_map(
                name, self.namespace, _preload_content=False, _request_timeout=_TIMEOUT
            )
        read: dict[str, Any] = json.loads(found.data)
        return read

    def who_am_i(self) -> str:
        """The name by which the API server knows who asks; one of its own for servers that do not tell."""
        try:
            answer = AuthenticationV1Api(self.core_api.api_client).create_self_subject_review(
                {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, _request_timeout=_TIMEOUT
            )
        except (ApiException, urllib3.exceptions.HTTPError, OSError):
            return getpass.getuser()
        return str(answer.status.user_info.username)

    def secret(self, name: str) -> dict[str, str]:
        """Its values by key."""
        with _explained(f"read Secret {name} in namespace {self.namespace}", f"Secret {name}"):
            secret = self.core_api.read_namespaced_secret(name, self.namespace, _request_timeout=_TIMEOUT)
        return {key: base64.b64decode(value).decode() for key, value in (secret.data or {}).items()}

    def serves_tls(self, service: str) -> bool:
        """Whether the Service's port says that it speaks HTTPS."""
        with _explained(f"read Service {service} in namespace {self.namespace}", f"Service {service}"):
            found = self.core_api.read_namespaced_service(service, self.namespace, _request_timeout=_TIMEOUT)
        return any(port.app_protocol == "https" for port in found.spec.ports or ())

    def secrets_named(self, name: str, *, everywhere: bool) -> list[tuple[str, dict[str, str]]]:
        """Namespace and annotations of the Secret of that name, here or in every namespace that has one."""
        chosen = {"field_selector": f"metadata.name={name}", "_request_timeout": _TIMEOUT}
        with _explained(f"list Secrets {name}", f"Secret {name}"):
            found = (
                self.core_api.list_secret_for_all_namespaces(**chosen)
                if everywhere
                else self.core_api.list_namespaced_secret(self.namespace, **chosen)
            )
        return [(secret.metadata.namespace, dict(secret.metadata.annotations or {})) for secret in found.items]

    def annotate_secret(self, namespace: str, name: str, annotations: Mapping[str, str]) -> None:
        with _explained(f"annotate Secret {name} in namespace {namespace}", f"Secret {name}"):
            body = {"metadata": {"annotations": dict(annotations)}}
            self.core_api.patch_namespaced_secret(name, namespace, body, _request_timeout=_TIMEOUT)

    @contextmanager
    def _asking(self, verb: str, name: str) -> Iterator[None]:
        with _explained(f"{verb} {KIND} {name} in namespace {self.namespace}", f"{KIND} {name}"):
            yield


def connect(context: str | None, namespace: str | None) -> Cluster:
    """The cluster that kubectl would ask, or the one this runs in."""
    configuration = client.Configuration()
    configuration.retries = False  # a refused connection is told at once
    found_namespace = None
    try:
        config.load_kube_config(context=context, client_configuration=configuration)
        _, active = config.list_kube_config_contexts()
        chosen = active if context is None else _context(context)
        found_namespace = chosen["context"].get("namespace")
    except (ConfigException, OSError) as error:
        if context is not None:
            raise WrongUse(f"--context {context}: {error}") from error
        try:
            config.load_incluster_config(client_configuration=configuration)
            found_namespace = _OWN_NAMESPACE.read_text().strip()
        except (ConfigException, OSError):
            raise ClusterError(
                f"no cluster to ask: {str(error).rstrip('.')}. Set KUBECONFIG or --context; for a study on this machine"
                " add --local, where the command has it: production is on clusters alone"
            ) from error
    api = client.ApiClient(configuration)
    return Cluster(
        namespace or found_namespace or "default", context, CustomObjectsApi(api), CoreV1Api(api), BatchV1Api(api)
    )


def _context(name: str) -> Any:
    contexts, _ = config.list_kube_config_contexts()
    return next(entry for entry in contexts if entry["name"] == name)


@contextmanager
def _explained(doing: str, what: str) -> Iterator[None]:
    """The API's refusals inside the block as one line each, with what to do about it."""
    try:
        yield
    except ApiException as error:
        raise explain(error, doing, what) from error
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterError(
            f"cannot {doing}: the API server does not answer ({_short(error)}). "
            "Check KUBECONFIG and --context, and that the cluster runs"
        ) from error


def explain(error: ApiException, doing: str, what: str) -> ClusterError | WrongUse:
    said = error_message(error.body or "").strip() or str(error.reason or "")
    match error.status:
        case 401:
            return ClusterError(f"cannot {doing}: the API server does not know you; renew your credentials")
        case 403:
            return ClusterError(f"cannot {doing}: forbidden. Ask for the rights ({said})")
        case 404 if "the server could not find" in said or "page not found" in said:
            return ClusterError(f"cannot {doing}: the cluster does not know {KIND}; install the chart first")
        case 404:
            return WrongUse(f"cannot {doing}: {what} is not there. Check the name and --namespace")
        case 409 | 422:
            return WrongUse(f"cannot {doing}: {said}")
        case status:
            return ClusterError(f"cannot {doing}: the API server answers {status}: {said}")


def _short(error: BaseException) -> str:
    text = str(error)
    return "connection refused" if "Connection refused" in text else text.rsplit(": ", 1)[-1].rstrip(")'\"")
