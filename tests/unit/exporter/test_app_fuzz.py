"""Whatever is posted, the answer is a success or the sender's fault, and nothing is read without end."""

import asyncio
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning_exporter.app import build_app
from tuning_exporter.authentication import Authentication, Tokens
from tuning_exporter.studies import StudyIndex
from tuning_kube.errors import NotFound

TOKEN = "a-token"

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=10,
)
texts = st.dictionaries(st.sampled_from(["alertname", "namespace", "study", "summary", "x"]), st.text(max_size=30))
alerts = st.fixed_dictionaries(
    {"status": st.sampled_from(["firing", "resolved", "x"])},
    optional={"labels": texts, "annotations": texts, "startsAt": anything, "fingerprint": anything},
)
webhooks = st.fixed_dictionaries({"version": st.sampled_from(["4", "3", 4]), "alerts": st.lists(alerts, max_size=3)})
pushes = st.fixed_dictionaries(
    {"namespace": st.text(max_size=9) | st.just("team"), "study": st.just("digits")},
    optional={"x": anything, "metrics": anything, "predictions": anything, "labels": anything},
)
paths = pytest.mark.parametrize("path", ["/alerts", "/observations", "/predictions"])


def firing(**labels: str) -> bytes:
    return json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": labels}]}).encode()


class NoStudies:
    """An API server without studies, which sees the names that would become part of a path."""

    async def list_metadata(self, *_: object) -> Sequence[Any]:
        return []

    async def read_study(self, namespace: str, name: str) -> Any:
        assert not set(namespace + name) & set("/?#%\x00 ")
        raise NotFound(f"there is no {namespace}/{name}", 404)


async def post(path: str, bodies: list[bytes], token: str) -> list[int]:
    cluster: Any = NoStudies()
    app = build_app(cluster, None, StudyIndex(cluster, ()), None, Authentication(Tokens(lambda: TOKEN)))  # type: ignore[arg-type]
    async with TestClient(TestServer(app)) as client:
        headers = {"Authorization": f"Bearer {token}"}
        return [(await client.post(path, data=io.BytesIO(body), headers=headers)).status for body in bodies]


def answers(*bodies: bytes, path: str = "/alerts", token: str = TOKEN) -> list[int]:
    return asyncio.run(post(path, list(bodies), token))


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=200), min_size=10, max_size=20))
@paths
def test_any_bytes(path: str, bodies: list[bytes]) -> None:
    assert set(answers(*bodies, path=path)) <= {200, 400}


@settings(max_examples=20)
@given(st.lists(webhooks | pushes | anything, min_size=10, max_size=20))
@paths
def test_any_json(path: str, documents: list[Any]) -> None:
    bodies = [json.dumps(document).encode() for document in documents]
    assert set(answers(*bodies, path=path)) <= {200, 400, 422}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[" * 100_000, 400),
        (b'{"version": "4", "alerts": [' + b"[" * 100_000, 400),
        (b'{"version": "4", "alerts": ' + b"9" * 100_000 + b"}", 400),
        (b'{"version": "4", "alerts": []}' + b" " * 17 * 1024 * 1024, 413),
        (b'{"version": "4", "alerts": [' + b",".join([b'{"status": "firing"}'] * 5001) + b"]}", 400),
        (b'{"version": "4", "alerts": [{"status": "firing", "labels": {"namespace": "\\ud800", "study": "a"}}]}', 400),
        (
            b'{"version": "4", "alerts": [{"status": "firing", "labels": {"namespace": "\\u0000/..", "study": ".."}}]}',
            200,
        ),
        (b"\xff\xfe\x00", 400),
    ],
)
def test_a_body_that_was_made_to_break_the_receiver(body: bytes, status: int) -> None:
    assert answers(body) == [status]


@given(
    st.text(alphabet=st.characters(blacklist_categories=("Cs", "Cc")), max_size=40).filter(lambda t: t.strip() != TOKEN)
)
@settings(max_examples=20)
def test_a_token_that_is_not_the_right_one(token: str) -> None:
    assert answers(b"{}", token=f"{token}.") == [401]
