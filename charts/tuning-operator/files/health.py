"""`helm test`: the API server serves TuningStudies, and each of the URLs given answers that it is ready."""

import json
import ssl
import sys
import time
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PATIENCE = 60  # seconds: a node routes a Service to a pod some time after the pod is ready


def get(url: str, headers: dict[str, str], context: ssl.SSLContext | None = None) -> str:
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
        return answer.read().decode()


def ready(url: str, patience: float = PATIENCE) -> str:
    """What `url` answers once it is ready; after `patience` seconds the process ends with the last error."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return get(url, {}, unverified() if url.startswith("https:") else None)
        except OSError as error:
            if time.monotonic() > deadline:
                sys.exit(f"{url} is not ready after {patience:g} s: {error}")
            time.sleep(1)


def unverified() -> ssl.SSLContext:
    """As the kubelet's probes: nothing secret is sent, and whoever sends something checks the certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def main(urls: list[str]) -> None:
    token = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"}
    authority = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    served = get("https://kubernetes.default.svc/apis/tuning.dev/v1alpha1", token, authority)
    assert "tuningstudies" in {kind["name"] for kind in json.loads(served)["resources"]}, served
    print("the API server serves TuningStudies")
    for url in urls:
        print(f"{url}: {ready(url)}")


if __name__ == "__main__":
    main(sys.argv[1:])
