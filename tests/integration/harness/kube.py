"""A small synchronous client for tests: plain dictionaries in and out, and waiting with a deadline."""

from __future__ import annotations

import json
import re
import textwrap
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, overload

import urllib3
import yaml
from kubernetes import config, dynamic
from kubernetes.dynamic.exceptions import NotFoundError

Object = dict[str, Any]

_FIELD_MANAGER = "tests"


class Kube:
    """Reads and writes objects of one namespace (cluster-scoped kinds have none), as whoever the kubeconfig names.

    Every method takes another `namespace`, and an `api_version` for kinds that exist in several groups. Failures are
    those of `kubernetes.dynamic.exceptions`.
    """

    def __init__(self, kubeconfig: Path, namespace: str = "default") -> None:
        self.namespace = namespace
        # Not in the temporary folder of the machine, where a later server on the same port would find this one's kinds.
        cache = kubeconfig.with_suffix(".discovery.json")
        # Without types, whatever mypy makes of that package.
        connect: Any = config.new_client_from_config
        make_client: Any = dynamic.DynamicClient
        self._client = make_client(connect(str(kubeconfig)), cache_file=str(cache))

    def close(self) -> None:
        self._client.client.close()

    @overload
    def apply(self, manifest: str) -> list[Object]: ...
    @overload
    def apply(self, manifest: Mapping[str, Any]) -> Object: ...
    def apply(self, manifest: Mapping[str, Any] | str) -> Object | list[Object]:
        """Apply a manifest server-side, or each document of a YAML text; return what the server made of it."""
        if isinstance(manifest, str):
            documents = yaml.load_all(textwrap.dedent(manifest), Loader=_Loader)
            return [self._apply(document) for document in documents if document]
        return self._apply(manifest)

    def _apply(self, manifest: Mapping[str, Any]) -> Object:
        resource = self._resource(manifest["kind"], manifest["apiVersion"])
        namespace = self._namespace(resource, manifest["metadata"].get("namespace"))
        # Its own server_side_apply escapes characters in a way that YAML does not know.
        answer = self._client.request(
            "patch",
            resource.path(name=manifest["metadata"]["name"], namespace=namespace),
            body=json.dumps(manifest, ensure_ascii=False).encode(),
            content_type="application/apply-patch+yaml;charset=utf-8",
            field_manager=_FIELD_MANAGER,
            force_conflicts=True,
        )
        return _plain(answer)

    def get(self, kind: str, name: str, *, namespace: str | None = None, api_version: str | None = None) -> Object:
        resource = self._resource(kind, api_version)
        return _plain(self._client.get(resource, name=name, namespace=self._namespace(resource, namespace)))

    def list(
        self, kind: str, selector: str = "", *, namespace: str | None = None, api_version: str | None = None
    ) -> list[Object]:
        """Return the objects of a kind, those a label selector names if there is one."""
        resource = self._resource(kind, api_version)
        found = self._client.get(
            resource, namespace=self._namespace(resource, namespace), label_selector=selector or None
        )
        items: list[Object] = found.to_dict()["items"]
        return items

    def patch(
        self,
        kind: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        subresource: str | None = None,
        namespace: str | None = None,
        api_version: str | None = None,
    ) -> Object:
        """Merge-patch an object, or its `subresource` such as "status"."""
        resource = self._resource(kind, api_version)
        answer = self._client.patch(
            resource.subresources[subresource] if subresource else resource,
            body=dict(patch),
            name=name,
            namespace=self._namespace(resource, namespace),
            content_type="application/merge-patch+json",
        )
        return _plain(answer)

    def delete(
        self,
        kind: str,
        name: str,
        *,
        grace: int | None = None,
        propagation: str = "Background",
        namespace: str | None = None,
        api_version: str | None = None,
    ) -> None:
        """Delete an object as kubectl does; return when the server agrees, not when it is gone."""
        resource = self._resource(kind, api_version)
        self._client.delete(
            resource,
            name=name,
            namespace=self._namespace(resource, namespace),
            body={"propagationPolicy": propagation, "gracePeriodSeconds": grace},
        )

    def wait_for(
        self,
        get: Callable[[], Any],
        predicate: Callable[[Any], object],
        timeout: float = 60,
        what: str = "",
    ) -> Any:
        """Call `get` until `predicate` is true of its result, and return that.

        An absent object is None. A predicate which trips over a field that is not there yet is not true yet; nor is
        anything while the server does not answer.

        Raises:
            TimeoutError: it did not come true; the message shows the last state.
        """
        deadline = time.monotonic() + timeout
        while True:
            state, note = None, ""
            try:
                state = get()
            except NotFoundError:
                pass
            except (urllib3.exceptions.HTTPError, OSError) as error:
                note = f" (unreachable: {error})"
            try:
                if not note and predicate(state):
                    return state
            except (KeyError, IndexError, TypeError, AttributeError) as error:
                note = f" (the predicate tripped: {error!r})"
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {what or 'such state'} after {timeout:g} s{note}; last:\n{_show(state)}")
            time.sleep(0.05)

    def _resource(self, kind: str, api_version: str | None) -> Any:
        wanted = {"kind": kind} | ({"api_version": api_version} if api_version else {})
        return self._client.resources.get(**wanted)

    def _namespace(self, resource: Any, namespace: str | None) -> str | None:
        return namespace or self.namespace if resource.namespaced else None


# Takes 1e-3 for a number, as kubectl does and PyYAML does not.
_Loader: Any = type("_Loader", (yaml.SafeLoader,), {})
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


def _plain(answer: Any) -> Object:
    result: Object = answer.to_dict()
    return result


def _show(state: Any) -> str:
    def brief(part: Any) -> Any:
        if isinstance(part, list):
            return [brief(item) for item in part]
        if isinstance(part, dict):
            return {key: brief(value) for key, value in part.items() if key != "managedFields"}
        return part

    return "nothing" if state is None else str(yaml.safe_dump(brief(state), sort_keys=False))
