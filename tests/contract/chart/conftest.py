"""The chart as Helm renders it."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable, Iterator

import kubernetes_validate
import pytest
import yaml

from .renderings import CHART, Object, Render, flags, run


@pytest.fixture(scope="session")
def helm() -> str:
    """The program."""
    found = shutil.which("helm")
    if found is None:
        missing = "helm is not installed: the chart cannot be rendered"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return found


@pytest.fixture(scope="session")
def render(helm: str) -> Render:
    """The objects of a release, each value set given as `key=value` or as a file of values."""

    @functools.cache
    def rendered(*values: str, release: str = "tuning", namespace: str = "tuning") -> str:
        return run(helm, "template", release, str(CHART), "--namespace", namespace, *flags(values))

    def objects(*values: str, release: str = "tuning", namespace: str = "tuning") -> list[Object]:
        text = rendered(*values, release=release, namespace=namespace)
        return [one for one in yaml.load_all(text, Loader=yaml.CSafeLoader) if one]

    return objects


@pytest.fixture(scope="session")
def validate() -> Iterator[Callable[[Object, str], None]]:
    """Fails for an object with a field that this Kubernetes does not know, or with a wrong value in it."""
    library = kubernetes_validate.utils
    with pytest.MonkeyPatch.context() as patch:  # it reads megabytes of schemas for each object
        patch.setattr(library, "schema_contents", functools.cache(library.schema_contents))
        patch.setattr(library, "all_versions", functools.cache(library.all_versions))
        yield lambda one, version: kubernetes_validate.validate(one, version, strict=True)
