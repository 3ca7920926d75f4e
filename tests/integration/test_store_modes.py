"""Where a study's trials are kept: a role of the namespace's own, a login that all share, or a store of one's own."""

from __future__ import annotations

import re
import shlex
import subprocess

import psycopg2

from integration.harness import ControlPlane, Kube
from integration.operator_fixtures import Studies
from integration.services import Operator, Postgres
from integration.studies import quick_study, read_history, states, store_url


def put_url(kube: Kube, name: str, url: str) -> None:
    kube.apply({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"url": url}})


def let_the_operator_read(kube: Kube, name: str) -> None:
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": [name], "verbs": ["get"]}
    group = "rbac.authorization.k8s.io"
    kube.apply({"apiVersion": f"{group}/v1", "kind": "Role", "metadata": {"name": name}, "rules": [rule]})
    kube.apply(
        {
            "apiVersion": f"{group}/v1",
            "kind": "RoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "Role", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": "tuning-operator", "namespace": "tuning"}],
        }
    )


# --- the operator's own


def test_a_namespace_has_a_role_that_sees_only_its_own(studies: Studies, kube: Kube, postgres: Postgres) -> None:
    postgres.sql("CREATE SCHEMA IF NOT EXISTS tuning_somebody_else")
    studies(quick_study()).wait_until("Complete")

    connection = psycopg2.connect(store_url(kube))
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tuning%' AND has_schema_privilege(oid, 'USAGE')"
            )
            (own,) = [row[0] for row in cursor.fetchall()]
            cursor.execute(
                "SELECT has_schema_privilege(%s, 'CREATE'), has_schema_privilege('public', 'CREATE')", (own,)
            )
            assert cursor.fetchone() == (False, False)
            cursor.execute("SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user")
            assert cursor.fetchone() == (False, False, False)
    finally:
        connection.close()
    assert kube.namespace not in own


def test_a_lost_login_is_made_anew(studies: Studies, kube: Kube, operator: Operator) -> None:
    study = studies(quick_study("first"))
    study.wait_until("Complete")
    kube.delete("Secret", "tuning-store")
    operator.kill()
    operator.start()

    second = studies(quick_study("second"))
    second.wait_until("Complete")
    assert second.trials == {"complete": 6}


def test_an_administrator_without_createrole_shares_one_login(
    studies: Studies, operator: Operator, postgres: Postgres
) -> None:
    postgres.sql("CREATE ROLE manager LOGIN NOCREATEROLE PASSWORD 'managed'", "CREATE DATABASE shared OWNER manager")
    with operator.configured(TUNING_STORE_URL=postgres.url_of("manager", "managed", "shared")):
        study = studies(quick_study())

        study.wait_until("Complete")

        assert study.condition("StoreReady") == ("True", "SharedRole")
        assert "could read the studies of another" in study.message("StoreReady")
        assert study.trials == {"complete": 6}
        assert states(study.history()) == {"COMPLETE": 6}
        study.delete()  # while this operator still knows it


# --- one's own


def test_a_store_of_ones_own_needs_a_role_that_the_message_tells(
    studies: Studies, kube: Kube, control_plane: ControlPlane, postgres: Postgres
) -> None:
    postgres.sql("CREATE ROLE mine LOGIN PASSWORD 'mine'", "CREATE DATABASE mine OWNER mine")
    url = postgres.url_of("mine", "mine", "mine")
    put_url(kube, "my-postgres", url)
    study = studies(quick_study("own", storage={"secretName": "my-postgres"}))

    # The operator may not read it, and says how to allow it.
    study.wait_for_condition("StoreReady", "False", "SecretUnusable")
    assert not study.exists("Job", "own-r1")
    commands = re.findall(r"kubectl create [^;]+", study.message("StoreReady"))
    assert len(commands) == 2
    for command in commands:
        kubectl = [str(control_plane.binaries.kubectl), f"--kubeconfig={control_plane.kubeconfig}"]
        subprocess.run([*kubectl, *shlex.split(command)[1:]], check=True, capture_output=True)

    study.wait_until("Complete")
    assert study.condition("StoreReady") == ("True", "Connected")
    assert states(read_history(url, study.optuna_name(1))) == {"COMPLETE": 6}
    assert not study.exists("Secret", "tuning-store")  # none was needed


def test_a_secret_that_lacks_its_key_says_which_keys_it_has(studies: Studies, kube: Kube) -> None:
    put_url(kube, "my-postgres", "postgresql://nobody@nowhere/nothing")
    let_the_operator_read(kube, "my-postgres")
    study = studies(quick_study("own", storage={"secretName": "my-postgres", "key": "uri"}))

    study.wait_for_condition("StoreReady", "False", "SecretUnusable")

    assert "has no key 'uri'; it has url" in study.message("StoreReady")


def test_a_store_that_is_no_postgresql_is_refused(studies: Studies, kube: Kube) -> None:
    put_url(kube, "my-redis", "redis://nobody@nowhere/0")
    let_the_operator_read(kube, "my-redis")
    study = studies(quick_study("own", storage={"secretName": "my-redis"}))

    study.wait_for_condition("StoreReady", "False", "SecretUnusable")

    assert "a cluster's studies live in PostgreSQL: write postgresql://" in study.message("StoreReady")


def test_a_refused_password_is_told_and_starts_nothing(studies: Studies, kube: Kube, postgres: Postgres) -> None:
    put_url(kube, "my-postgres", postgres.url_of("postgres", "wrong"))
    let_the_operator_read(kube, "my-postgres")
    study = studies(quick_study("own", storage={"secretName": "my-postgres"}))

    study.wait_for_condition("StoreReady", "False", "AuthenticationFailed")
    assert "password authentication failed" in study.message("StoreReady")
    assert "wrong" not in study.message("StoreReady")
    study.wait_for_event("AuthenticationFailed")
    assert not study.exists("Job", "own-r1")
    assert not study.exists("ConfigMap", "own-r1")

    postgres.sql("CREATE DATABASE corrected")
    put_url(kube, "my-postgres", postgres.admin_url("corrected"))
    study.wait_until("Complete")
