"""Passwords: they rotate while workers run, a lost one is made anew, and none is ever seen."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from integration.harness import ControlPlane, FakeNode, Kube
from integration.operator_fixtures import Studies
from integration.services import Operator, Postgres
from integration.studies import Gate, Study, quick_study, states, store_url
from integration.test_store_modes import let_the_operator_read, put_url
from tuning_store.tenants import login_works


def tuning(plane: ControlPlane, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as the cluster's administrator runs it."""
    command = [sys.executable, "-m", "tuning_cli.app", *arguments]
    env = os.environ | {"KUBECONFIG": str(plane.kubeconfig)}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=90)


@pytest.fixture
def beside(control_plane: ControlPlane, kube: Kube) -> Iterator[Kube]:
    """Cluster admin in a second namespace."""
    client = Kube(control_plane.kubeconfig, f"{kube.namespace}-beside")
    client.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": client.namespace}})
    yield client
    client.delete("Namespace", client.namespace)
    client.close()


def annotations_of(kube: Kube) -> dict[str, str]:
    found: dict[str, str] = kube.get("Secret", "tuning-store")["metadata"].get("annotations", {})
    return found


def test_a_password_changes_while_workers_run_and_nothing_is_lost(
    studies: Studies, kube: Kube, node: FakeNode, gate: Gate, postgres: Postgres, control_plane: ControlPlane
) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)
    before = store_url(kube)
    pods = [pod["metadata"]["name"] for pod in study.pods()]

    said = tuning(control_plane, "rotate-credentials", "-n", kube.namespace)

    assert said.stdout == f"{kube.namespace}: a new password is in its Secret\n"
    after = store_url(kube)
    assert login_works(after)
    assert not login_works(before)
    assert annotations_of(kube)["tuning.dev/rotated-at"]

    # Every worker has to log in again, and at first all it knows is the old password.
    role, told = make_url(before).username, len(postgres.log)
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")
    gate.open()
    kube.wait_for(lambda: postgres.log[told:].count(f'authentication failed for user "{role}"') > 2, bool)
    for pod in study.pods():
        node.refresh(pod)

    study.wait_until("Complete", timeout=60)
    assert states(study.history()) == {"COMPLETE": 6}
    assert study.trials == {"complete": 6}
    assert sorted(gate.starts) == [*range(6)]  # no trial ran twice
    assert study.status["workers"]["failed"] == 0
    assert len(pods) == 2


def test_the_passwords_of_all_namespaces_change_at_once(
    studies: Studies, kube: Kube, beside: Kube, control_plane: ControlPlane
) -> None:
    here, there = studies(quick_study()), Study(beside, quick_study())
    there.apply()
    for study in (here, there):
        study.wait_until("Complete")
    before = [store_url(kube), store_url(beside)]

    said = tuning(control_plane, "rotate-credentials", "--all")

    assert (said.returncode, said.stderr) == (0, "")
    for place in (kube, beside):
        assert f"{place.namespace}: a new password is in its Secret\n" in said.stdout
        assert login_works(store_url(place))
    assert [login_works(url) for url in before] == [False, False]
    there.delete()


def test_a_secret_that_somebody_deletes_comes_back(studies: Studies, kube: Kube) -> None:
    studies(quick_study("first")).wait_until("Complete")
    before = store_url(kube)

    kube.delete("Secret", "tuning-store")

    kube.wait_for(
        lambda: kube.list("Secret"), lambda found: any(s["metadata"]["name"] == "tuning-store" for s in found)
    )
    assert login_works(store_url(kube))
    assert not login_works(before)
    studies(quick_study("second")).wait_until("Complete")


def test_a_login_that_all_share_is_not_the_operators_to_change(
    studies: Studies, kube: Kube, operator: Operator, postgres: Postgres, control_plane: ControlPlane
) -> None:
    postgres.sql("CREATE DATABASE common")
    with operator.configured(TUNING_STORE_URL=postgres.admin_url("common"), TUNING_STORE_ROLES="false"):
        study = studies(quick_study())
        study.wait_until("Complete")

        said = tuning(control_plane, "rotate-credentials", "-n", kube.namespace)

        assert said.returncode == 1
        assert "share the administrator's login" in said.stdout
        assert login_works(store_url(kube))
        study.delete()


def test_a_namespace_without_a_login_has_none_to_rotate(
    operator: Operator, kube: Kube, control_plane: ControlPlane
) -> None:
    said = tuning(control_plane, "rotate-credentials", "-n", kube.namespace)
    assert said.returncode == 2
    assert "no study has used the operator's PostgreSQL" in said.stderr


def everything_told(kube: Kube, folder: Path, names: list[str]) -> str:
    """What anybody may come to see: every object of the namespace but its Secrets, every log, every report."""
    kinds = ("TuningStudy", "ConfigMap", "Job", "Pod", "Event")
    objects = [kube.list(kind, **({"api_version": "v1"} if kind == "Event" else {})) for kind in kinds]
    logs = [file.read_text(errors="replace") for file in folder.rglob("*.log")]
    reports = [Path(name).read_text() for name in names]
    return "\n".join([json.dumps(objects), *logs, *reports])


def arguments_of_all_processes() -> str:
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(file.read_bytes().decode(errors="replace"))
        except OSError:
            continue  # it has ended
    return "\n".join(found)


def test_no_password_is_seen_whatever_goes_wrong(
    studies: Studies,
    kube: Kube,
    node: FakeNode,
    gate: Gate,
    postgres: Postgres,
    operator: Operator,
    control_plane: ControlPlane,
    tmp_path: Path,
) -> None:
    study = studies(quick_study(objective=gate.objective))
    study.wait_for_starts(gate, 2)
    secrets = {make_url(postgres.url).password, make_url(store_url(kube)).password}
    arguments = arguments_of_all_processes()

    # The database is away, and comes back with a password that the workers do not know yet.
    postgres.stop()
    study.wait_for_condition("StoreReady", "False")
    postgres.start()
    study.wait_for_condition("StoreReady", "True")
    assert tuning(control_plane, "rotate-credentials", "-n", kube.namespace).returncode == 0
    secrets.add(make_url(store_url(kube)).password)
    role = make_url(store_url(kube)).username
    postgres.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{role}'")
    gate.open()
    for pod in study.pods():
        node.refresh(pod)
    # A login that is refused, one that leads nowhere, and one that is no URL.
    for name, url in {
        "refused": postgres.url_of("postgres", "Tell-0-Nobody"),
        "nowhere": "postgresql://u:Tell-1-Nobody@127.0.0.1:1/d",
        "no-url": "postgresql://u:Tell-2-Nobody@127.0.0.1:port/d",
        "no-option": postgres.url_of("postgres", "Tell-3-Nobody") + "?no_such_option=1",
    }.items():
        put_url(kube, name, url)
        let_the_operator_read(kube, name)
        wrong = studies(quick_study(name, storage={"secretName": name}))
        wrong.wait_for_condition("StoreReady", "False")
    study.wait_until("Complete", timeout=60)
    said = [
        tuning(control_plane, *command, "-n", kube.namespace)
        for command in (["status"], ["status", "refused"], ["trials", study.name, "-o", "json"])
    ]
    report = tuning(control_plane, "report", study.name, "-n", kube.namespace, "--file", str(tmp_path / "report.html"))
    assert report.returncode == 0, report.stderr

    told = everything_told(kube, control_plane.folder, [str(tmp_path / "report.html")])
    told += "".join(one.stdout + one.stderr for one in [*said, report])
    told += arguments + arguments_of_all_processes()

    assert "password authentication failed" in told
    assert [secret for secret in secrets if secret is None or secret in told] == []
    assert "-Nobody" not in told
