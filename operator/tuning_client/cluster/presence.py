"""Whether this machine knows of any cluster: where it does not, commands look at the folder."""

import os
from pathlib import Path

_DEFAULT = "~/.kube/config"


def no_cluster() -> bool:
    """Neither a kubeconfig nor the environment of a pod says where a cluster is."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return False
    named = os.environ.get("KUBECONFIG") or _DEFAULT
    return not any(Path(path).expanduser().exists() for path in named.split(os.pathsep) if path)
