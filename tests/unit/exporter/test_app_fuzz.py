"""Whatever is posted to /alerts, the answer is a success or the sender's fault, and nothing is read without end."""

import asyncio
import io
import json
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning_exporter.app import build_app
from tuning_operator.exceptions import NotFound

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


def firing(**labels: str) -> bytes:
    return json.dumps({"version": "4", "alerts": [{"status": "firing", "labels": labels}]}).encode()


class NoStudies:
    """An API server without studies, which sees the names that would become part of a path."""

    async def read_study(self, namespace: str, name: str) -> Any:
        assert not set(namespace + name) & set("/?#%\x00 ")
        raise NotFound(f"there is no {namespace}/{name}", 404)


async def post(bodies: list[bytes], token: str = TOKEN) -> list[int]:
    async with TestClient(TestServer(build_app(NoStudies(), None, TOKEN))) as client:  # type: ignore[arg-type]
        headers = {"Authorization": f"Bearer {token}"}
        return [(await client.post("/alerts", data=io.BytesIO(body), headers=headers)).status for body in bodies]


def answers(*bodies: bytes, token: str = TOKEN) -> list[int]:
    return asyncio.run(post(list(bodies), token))


@settings(max_examples=20)
@given(st.lists(st.binary(max_size=200), min_size=10, max_size=20))
def test_any_bytes(bodies: list[bytes]) -> None:
    assert set(answers(*bodies)) <= {200, 400}


@settings(max_examples=20)
@given(st.lists(webhooks | anything, min_size=10, max_size=20))
def test_any_json(documents: list[Any]) -> None:
    assert set(answers(*(json.dumps(document).encode() for document in documents))) <= {200, 400}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[" * 100_000, 400),
        (b'{"version": "4", "alerts": [' + b"[" * 100_000, 400),
        (b'{"version": "4", "alerts": ' + b"9" * 100_000 + b"}", 400),
        (b'{"version": "4", "alerts": []}' + b" " * 2_000_000, 413),
        (b'{"version": "4", "alerts": [' + b",".join([b'{"status": "firing"}'] * 1001) + b"]}", 400),
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
