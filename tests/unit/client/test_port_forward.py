import os
from pathlib import Path

import pytest

from tuning_client.cluster import port_forward
from tuning_client.cluster.port_forward import Service
from tuning_client.exceptions import ClusterError

INSIDE = "postgresql://team:p%40ss@tuning-postgresql.tuning.svc:5432/tuning?sslmode=prefer"


@pytest.mark.parametrize(
    ("url", "want"),
    [
        (INSIDE, Service("tuning-postgresql", "tuning", 5432)),
        ("postgresql://u@db.team.svc.cluster.local/x", Service("db", "team", 5432)),
        ("postgresql://u@db.team.svc.other.domain:6432/x", Service("db", "team", 6432)),
        ("postgresql://u@db.example.com/x", None),
        ("postgresql://u@localhost/x", None),
        ("postgresql://u@/x?host=/var/run", None),
        ("sqlite:///x.sqlite", None),
    ],
)
def test_service_behind(url: str, want: Service | None) -> None:
    assert port_forward.service_behind(url) == want


def test_through_keeps_all_but_the_host() -> None:
    assert port_forward.through(INSIDE, 40123) == "postgresql://team:p%40ss@127.0.0.1:40123/tuning?sslmode=prefer"


def kubectl(folder: Path, script: str) -> None:
    program = folder / "kubectl"
    program.write_text(f"#!/bin/sh\ncd {folder}\n{script}\n")
    program.chmod(0o755)


def test_the_tunnel_is_closed_with_the_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl(
        tmp_path,
        'echo "$@" >kubectl.args; echo $$ >kubectl.pid; echo "Forwarding from 127.0.0.1:40123 -> 5432"; exec sleep 60',
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with port_forward.reachable(INSIDE, "staging") as url:
        assert "@127.0.0.1:40123/" in url
    asked = (tmp_path / "kubectl.args").read_text().strip()
    assert asked == "--context staging port-forward -n tuning svc/tuning-postgresql :5432"
    pid = (tmp_path / "kubectl.pid").read_text().strip()
    assert not Path(f"/proc/{pid}").exists()


def test_what_kubectl_says_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl(tmp_path, 'echo "error: services is forbidden" >&2; exit 1')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ClusterError, match="services is forbidden"), port_forward.reachable(INSIDE, None):
        pass


def test_without_kubectl(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ClusterError, match="install kubectl"), port_forward.reachable(INSIDE, None):
        pass
    with port_forward.reachable("postgresql://u@db.example.com/x", None) as url:
        assert url == "postgresql://u@db.example.com/x", "what can be reached needs no tunnel"
