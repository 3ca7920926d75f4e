"""What the exporter takes from its environment, and what it says of what it cannot take."""

from pathlib import Path

import pytest

from authority import Authority
from tuning_exporter.__main__ import Settings, from_environment
from tuning_kube.errors import InvalidSettings


@pytest.fixture
def least(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "token").write_text("secret")
    return {"TUNING_STORE_URL": "postgresql://me@db/tuning", "TUNING_TOKEN_FILE": str(tmp_path / "token")}


def test_nothing_is_switched_on_that_the_chart_does_not_name(least: dict[str, str]) -> None:
    found = from_environment(least)
    assert (found.audience, found.certificate, found.tokens.namespaces()) == (None, None, {})
    assert (found.tokens.exporters(), found.port) == ("secret", 8080)


def test_what_the_chart_names_is(least: dict[str, str], tmp_path: Path) -> None:
    for name, text in zip(("tls.crt", "tls.key"), Authority("any").issue("exporter"), strict=True):
        (tmp_path / name).write_text(text)
    tokens = tmp_path / "namespaces"
    tokens.mkdir()
    (tokens / "team").write_text("one")
    more = {"TUNING_TLS": str(tmp_path), "TUNING_NAMESPACE_TOKENS": str(tokens), "TUNING_TOKEN_AUDIENCE": "tuning"}
    found: Settings = from_environment(least | more)
    assert (found.audience, found.tokens.namespaces()) == ("tuning", {"team": "one"})
    assert found.certificate is not None


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("TUNING_TLS", "/absent", "TUNING_TLS: /absent/tls.crt and /absent/tls.key"),
        ("TUNING_NAMESPACE_TOKENS", "/absent", "TUNING_NAMESPACE_TOKENS: the tokens cannot be read from /absent"),
        ("TUNING_TOKEN_FILE", "", "the environment variable TUNING_TOKEN_FILE is not set"),
    ],
)
def test_what_cannot_be_used_is_told_at_the_start(least: dict[str, str], name: str, value: str, sentence: str) -> None:
    with pytest.raises(InvalidSettings, match=sentence):
        from_environment(least | {name: value})
