"""The API server as kubectl meets it."""

import json
import ssl
import urllib.error
import urllib.request

from integration.harness import ControlPlane

from .manifests import Object


class Server:
    """The API server as kubectl meets it: unknown fields are errors."""

    def __init__(self, plane: ControlPlane, namespace: str) -> None:
        self._plane = plane
        self._path = f"/apis/tuning.dev/v1alpha1/namespaces/{namespace}/tuningstudies"
        self._context = ssl.create_default_context(cafile=str(plane.ca))

    def create(self, manifest: Object, dry_run: bool = True) -> tuple[Object | None, str]:
        """The object, or why it was refused."""
        return self._send("POST", self._path, manifest, "&dryRun=All" if dry_run else "")

    def patch(self, name: str, patch: Object, subresource: str = "") -> tuple[Object | None, str]:
        return self._send("PATCH", f"{self._path}/{name}{subresource}", patch)

    def _send(self, method: str, path: str, body: Object, more: str = "") -> tuple[Object | None, str]:
        request = urllib.request.Request(
            f"{self._plane.url}{path}?fieldValidation=Strict{more}",
            method=method,
            data=json.dumps(body).encode(),
            headers={
                "Authorization": f"Bearer {self._plane.token}",
                "Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json",
            },
        )
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
                return json.load(answer), ""
        except urllib.error.HTTPError as error:
            if error.code not in (400, 422):
                raise
            message: str = json.load(error)["message"]
            return None, message


def condition(obj: Object, kind: str) -> bool:
    return any(entry["type"] == kind and entry["status"] == "True" for entry in obj["status"]["conditions"])
