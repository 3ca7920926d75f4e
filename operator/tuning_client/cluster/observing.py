"""Sends what is known of a model in production to a cluster's exporter: observations, predictions and labels, counts of
a canary's requests. Called by `tuning observe`."""

import json
import shutil
import ssl
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from tuning_client.cluster.client import Cluster
from tuning_client.cluster.port_forward import Service, forwarded
from tuning_client.cluster.predictions_file import Batch
from tuning_client.exceptions import ClusterError, WrongUse

PORT = 8080
"""Of the exporter's Service."""
_TIMEOUT = 30.0  # seconds


def exporter_at(place: str) -> Service:
    """The Service that `NAMESPACE/NAME` names. Raises WrongUse."""
    namespace, separator, name = place.partition("/")
    if not (namespace and separator and name) or "/" in name:
        raise WrongUse(f"--exporter: {place!r} is no namespace and name of a Service, such as tuning/tuning-exporter")
    return Service(name, namespace, PORT)


def send(
    cluster: Cluster,
    exporter: Service,
    study: str,
    values: Mapping[str, float],
    *,
    samples: int | None,
    at: datetime | None,
) -> None:
    """Raises WrongUse with the exporter's words for what it refuses, ClusterError where it cannot be reached."""
    given = {"samples": samples, "time": at.isoformat() if at is not None else None}
    measured = {
        name: {"value": value, **{key: entry for key, entry in given.items() if entry is not None}}
        for name, value in values.items()
    }
    _post(cluster, exporter, "/observations", {"study": study, "metrics": measured})


def send_counts(
    cluster: Cluster,
    exporter: Service,
    study: str,
    counts: Mapping[str, tuple[int, int]],
    *,
    parameters: str,
    sender: str,
    at: datetime | None,
) -> bool:
    """Bad requests and all of them, by metric, which were served with the parameters of that name, since the sender
    began. Whether a canary compares these parameters now. Raises as `send`."""
    counted = {name: {"bad": bad, "total": total} for name, (bad, total) in counts.items()}
    body: dict[str, object] = {"study": study, "parameters": parameters, "sender": sender, "counts": counted}
    if at is not None:
        body["time"] = at.isoformat()
    return bool(_post(cluster, exporter, "/counts", body)["stored"])


def send_predictions(cluster: Cluster, exporter: Service, study: str, batches: Iterable[Batch]) -> Counter[str]:
    """The numbers of those that were `stored`, `known` already, and too `late`. Raises as `send`; what was sent before
    is stored, and may be sent again."""
    told: Counter[str] = Counter()
    for batch in batches:
        body = {"study": study, "predictions": batch.predictions, "labels": batch.labels}
        try:
            told.update(_post(cluster, exporter, "/predictions", body))
        except (WrongUse, ClusterError) as error:
            kept = f"; {told['stored']} of the file are stored, and may be sent again with the rest" if told else ""
            raise type(error)(f"{error}{kept}") from error
    return told


def _post(cluster: Cluster, exporter: Service, path: str, body: Mapping[str, object]) -> Mapping[str, Any]:
    if shutil.which("kubectl") is None:
        raise ClusterError(
            f"the exporter is inside the cluster, and kubectl, which forwards its port, is not installed. Programs in "
            f"the cluster post to http://{exporter.name}.{exporter.namespace}:{exporter.port}{path}"
        )
    there = replace(cluster, namespace=exporter.namespace)
    token = there.secret(f"{exporter.name}-token")["token"]
    scheme = "https" if there.serves_tls(exporter.name) else "http"
    with forwarded(exporter, cluster.context) as port:
        return post(f"{scheme}://127.0.0.1:{port}{path}", token, {"namespace": cluster.namespace, **body})


def post(url: str, token: str, body: object) -> Mapping[str, Any]:
    """To the near end of a tunnel through the API server, which has chosen the pod at the other end: its certificate
    cannot name this machine, and is not checked."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token.strip()}"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(
            request, timeout=_TIMEOUT, context=_unverified() if url.startswith("https:") else None
        ) as answer:
            told: Mapping[str, Any] = json.load(answer)
            return told
    except urllib.error.HTTPError as error:
        with error:
            words = _words_of(error.read())
        raise (WrongUse if error.code in (400, 422) else ClusterError)(words) from error
    except ValueError as error:
        raise ClusterError(f"there is no exporter: what answers sends no JSON: {error}") from error
    except OSError as error:
        raise ClusterError(f"the exporter does not answer: {error}") from error


def _unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _words_of(answer: bytes) -> str:
    try:
        told = json.loads(answer)
        return "; ".join([told["error"], *told.get("problems", ())])
    except (ValueError, KeyError, TypeError):
        return f"the exporter answers: {answer[:200].decode(errors='replace')}"
