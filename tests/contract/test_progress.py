"""How rounds stand, read for many rounds and tenants at once."""

import json
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from sqlalchemy import create_engine, event

from builders import MAXIMIZE, MINIMIZE, make_round
from tuning_store import schema, tenants
from tuning_store.postgres.progress import read_all, read_some
from tuning_store.sql.readers import SqlReadings
from tuning_store.store import Store, open_store
from tuning_store.urls import driver_url
from tuning_store.values import ClaimedTrial, TrialDetails
from tuning_study.attributes import FAILURE_ATTRIBUTE, METRICS_ATTRIBUTE
from tuning_study.budget import Counts, StopReason
from tuning_study.results.candidates import Candidate
from tuning_study.results.describe import describe_best
from tuning_study.round import ResolvedRound

from .conftest import start_round, store_engine

ONE = make_round()
TWO_OBJECTIVES = make_round(metrics=[MAXIMIZE, MINIMIZE])


def run_one(
    store: Store,
    resolved: ResolvedRound,
    values: list[float] | None = None,
    *,
    worker: str = "w-0",
    violation: float | None = None,
    failure: str | None = None,
) -> int:
    """One trial that completes with `values`, or fails; returns its id."""
    study = store.rounds.find(resolved.study)
    taken = store.as_worker(worker).claims.claim(study)
    assert isinstance(taken, ClaimedTrial)
    store.load_study(resolved.study).get_trials()
    if violation is not None:
        store.storage.set_trial_system_attr(taken.trial_id, "constraints:latency<=1", violation)
    if failure is not None:
        store.storage.set_trial_user_attr(taken.trial_id, FAILURE_ATTRIBUTE, failure)
    state = TrialState.COMPLETE if values is not None else TrialState.FAIL
    store.as_worker(worker).storage.set_trial_state_values(taken.trial_id, state, values)
    return taken.trial_id


def test_a_round_that_was_just_started_has_no_trials(store: Store) -> None:
    start_round(store, ONE)
    found = store.readings.progress()[ONE.study]
    assert (found.counts, found.counts_by_worker, found.stop_reason, found.last_finished_at) == (
        Counts(),
        {},
        None,
        None,
    )
    assert (found.owner, found.retain, found.schema) == ("cluster", False, None)


def test_counts_are_by_state_and_shares_by_worker(store: Store) -> None:
    study = start_round(store, ONE, points=({"x": 0.1}, {"x": 0.2}, {"x": 0.3}, {"x": 0.4}))
    run_one(store, ONE, [0.5], worker="a")
    run_one(store, ONE, worker="b", failure="no metric")
    store.as_worker("b").claims.claim(study)
    found = store.readings.progress()[ONE.study]
    assert found.counts == Counts(complete=1, failed=1, running=1, waiting=1)
    assert found.counts_by_worker == {"a": Counts(complete=1), "b": Counts(failed=1, running=1)}
    assert found.last_finished_at is not None and found.last_finished_at >= found.started_at


def test_many_rounds_cost_one_statement(sql_store: Store) -> None:
    many = [make_round(number=number) for number in range(1, 13)]
    for resolved in many:
        start_round(sql_store, resolved)
    run_one(sql_store, many[3], [0.5])
    statements: list[str] = []
    event.listen(store_engine(sql_store), "before_cursor_execute", lambda *call: statements.append(call[2]))
    found = sql_store.readings.progress()
    assert set(found) == {resolved.study for resolved in many}
    assert [name for name, entry in found.items() if entry.counts.complete] == [many[3].study]
    assert len([text for text in statements if "tuning_rounds" in text]) == 1


def test_several_schemas_are_read_together(postgres_url: str) -> None:
    made = [tenants.tenant_of(namespace, "cluster") for namespace in ("a", "b")]
    places = [tenant.schema for tenant in made]
    rounds = [make_round(namespace=namespace) for namespace in ("a", "b")]
    for tenant, resolved in zip(made, rounds, strict=True):
        place = tenant.schema
        tenants.create(postgres_url, tenant)
        store = open_store(postgres_url, schema=place)
        start_round(store, resolved)
        run_one(store, resolved, [0.5], worker=f"{place}-0")
        store.close()
    engine = create_engine(driver_url(postgres_url))
    found = read_all(engine, tenants.schemas(engine))
    assert set(found) == {(place, resolved.study) for resolved, place in zip(rounds, places, strict=True)}
    assert all(entry.counts == Counts(complete=1) for entry in found.values())
    assert set(read_all(engine, places[:1])) == {(places[0], rounds[0].study)}
    assert set(read_some(engine, {places[0]: [rounds[0].study, "none"], places[1]: []})) == {
        (places[0], rounds[0].study)
    }
    first, second = (engine.execution_options(schema_translate_map={None: place}) for place in places)
    assert SqlReadings(second).candidates(rounds[1].study) == [Candidate(0, (0.5,))]
    assert SqlReadings(first).candidates(rounds[1].study) == []
    engine.dispose()


def test_a_row_in_one_tenants_tables_cannot_stand_in_for_anothers_round(postgres_url: str) -> None:
    """A namespace's login may write what it likes into its own tables, another's study among it."""
    victim, liar = (tenants.tenant_of(namespace, "cluster").schema for namespace in ("victim", "liar"))
    resolved = make_round(namespace="victim")
    for namespace, schema_ in (("victim", victim), ("liar", liar)):
        tenants.create(postgres_url, tenants.tenant_of(namespace, "cluster"))
        store = open_store(postgres_url, schema=schema_)
        start_round(store, resolved)
        if namespace == "liar":
            run_one(store, resolved, [0.5])
            store.claims.stop(store.rounds.find(resolved.study), StopReason.GOAL_REACHED, "so there")
        store.close()
    engine = create_engine(driver_url(postgres_url))

    for found in (
        read_all(engine, [liar, victim]),
        read_some(engine, {liar: [resolved.study], victim: [resolved.study]}),
    ):
        assert (found[victim, resolved.study].counts, found[victim, resolved.study].stop_reason) == (Counts(), None)
        assert found[liar, resolved.study].counts == Counts(complete=1)
    assert SqlReadings(engine.execution_options(schema_translate_map={None: victim})).candidates(resolved.study) == []
    engine.dispose()


def test_the_silence_of_a_worker_is_told_while_it_runs_a_trial(postgres_url: str) -> None:
    schema.create(postgres_url)
    store = open_store(postgres_url)
    study = start_round(store, ONE)
    run_one(store, ONE, [0.5], worker="idle")
    store.as_worker("busy").claims.claim(study)
    store.as_worker("gone").claims.claim(study)
    for worker in ("idle", "busy", "gone"):
        store.as_worker(worker).claims.record_heartbeat(study)
    with store_engine(store).begin() as connection:
        ago = "UPDATE tuning_workers SET seen_at = seen_at - interval '40 s' WHERE worker = 'gone'"
        connection.exec_driver_sql(ago)

    silent = store.readings.progress()[ONE.study].seconds_since_heartbeat

    assert silent == {"busy": pytest.approx(0, abs=5), "gone": pytest.approx(40, abs=5)}
    store.close()


def test_no_schemas_are_no_rounds(sql_store: Store) -> None:
    assert read_all(store_engine(sql_store), []) == read_some(store_engine(sql_store), {}) == {}


def test_how_a_round_ended_is_told(store: Store) -> None:
    study = start_round(store, ONE)
    store.claims.stop(study, StopReason.GOAL_REACHED, "trial 3 reached it")
    found = store.readings.progress()[ONE.study]
    assert (found.stop_reason, found.detail) == (StopReason.GOAL_REACHED, "trial 3 reached it")


def test_candidates_have_their_values_in_the_order_of_the_objectives(store: Store) -> None:
    start_round(store, TWO_OBJECTIVES)
    run_one(store, TWO_OBJECTIVES, [0.9, 5.0])
    run_one(store, TWO_OBJECTIVES, failure="x")
    run_one(store, TWO_OBJECTIVES, [float("inf"), float("-inf")])
    assert store.readings.candidates(TWO_OBJECTIVES.study) == [
        Candidate(0, (0.9, 5.0)),
        Candidate(2, (float("inf"), float("-inf"))),
    ]


@pytest.mark.parametrize(("violation", "feasible"), [(-1.0, True), (0.0, True), (0.001, False), (1e300, False)])
def test_a_candidate_is_feasible_up_to_zero(store: Store, violation: float, feasible: bool) -> None:
    start_round(store, ONE)
    run_one(store, ONE, [0.5], violation=violation)
    assert store.readings.candidates(ONE.study) == [Candidate(0, (0.5,), feasible)]


def test_failures_are_counted_by_reason_the_most_frequent_first(store: Store) -> None:
    start_round(store, ONE)
    for reason in ("rare", "often", "often", 'with "quotes" → é'):
        run_one(store, ONE, failure=reason)
    run_one(store, ONE, [0.5], failure="an attempt that was repeated")
    found = store.readings.failures(ONE.study)
    assert found[0] == ("often", 2)
    assert sorted(found[1:]) == [("rare", 1), ('with "quotes" → é', 1)]


def test_a_point_is_a_trial_as_optuna_tells_it(sql_store: Store) -> None:
    study = start_round(sql_store, ONE)
    worker = sql_store.as_worker("w-0")
    taken = worker.claims.claim(study)
    assert isinstance(taken, ClaimedTrial)
    trial = optuna.Trial(worker.load_study(ONE.study), taken.trial_id)
    drawn = {"k": trial.suggest_categorical("k", ["a", None]), "n": trial.suggest_int("n", 1, 9)}
    trial.set_user_attr("note", {"kept": [1]})
    worker.claims.release(study, "w-0")  # writes what is buffered
    assert sql_store.readings.trial(ONE.study, 0) == TrialDetails(drawn, {"note": {"kept": [1]}})


def test_the_best_trial_in_a_status_has_only_numbers_that_json_knows(tmp_path: Path) -> None:
    resolved = make_round(metrics=[MAXIMIZE, {"name": "size"}, {"name": "loss"}])
    url = f"sqlite:///{tmp_path / 'store.sqlite'}"
    schema.create(url)
    store = open_store(url)
    start_round(store, resolved)
    trial = run_one(store, resolved, [float("-inf")])
    reported = {"accuracy": float("-inf"), "size": 5.0, "loss": float("nan")}
    with store_engine(store).begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO trial_user_attributes (trial_id, key, value_json) VALUES (?, ?, ?)",
            (trial, METRICS_ATTRIBUTE, json.dumps(reported)),
        )
    found = store.readings.trial(resolved.study, 0)
    store.close()
    best = describe_best(Candidate(0, (float("-inf"),)), resolved.spec, found.parameters, found.attributes)
    assert [(metric.name, metric.value) for metric in best.metrics] == [("accuracy", "-Infinity"), ("size", 5.0)]
