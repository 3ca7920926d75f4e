"""One cause, one round: whatever tells of it, in whatever order and however often."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builders import NOW
from tuning_operator.observe.production import Production
from tuning_operator.plan.episodes import follow, request_of
from tuning_store.production import KnownAlert
from tuning_study.api.promotion_status import PromotionStatus
from tuning_study.api.retune import Retune
from tuning_study.api.status import Episode, ProductionStatus, Round, TuningStudyStatus
from tuning_study.production.limits import MOST_ROUNDS

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NOTHING_YET = TuningStudyStatus()
ALERTS = Retune.model_validate({"triggers": ["Alert", "Degradation"]})


def alert(key: str = "a", reason: str = "accuracy is 0.71", name: str = "ModelIsBad") -> KnownAlert:
    return KnownAlert(key, name, reason, starts_at=NOW, seen_at=NOW)


def metric(degraded: bool = False, confirmed: bool = False) -> ProductionStatus:
    since = NOW if degraded else None
    return ProductionStatus(name="accuracy", degraded_since=since, confirmed=confirmed, message="accuracy 0.85 …")


FIRING = Production(alerts=[alert()])
DEGRADED = Production(metrics=[metric(degraded=True, confirmed=True)])
UNSURE = Production(metrics=[metric(degraded=True)])


def open_episode(**fields: Any) -> Episode:
    return Episode.model_validate({"trigger": "Alert", "since": NOW, "last_seen": NOW} | fields)


def ended(outcome: str | None, **promotion: Any) -> TuningStudyStatus:
    """Of a study whose second round, which started NOW, came to this."""
    entry = Round.model_validate(
        {"round": 2, "trigger": "Alert", "start_time": NOW, "outcome": outcome, "parameters": "digits-params-r2"}
    )
    told = PromotionStatus.model_validate(promotion) if promotion else None
    return TuningStudyStatus(rounds=[entry], promotion=told)


class TestWhatAnEpisodeIs:
    def test_the_first_cause_opens_it(self) -> None:
        episode = follow(None, FIRING, NOW)
        assert episode is not None
        assert (episode.trigger, episode.reason, episode.since) == ("Alert", "accuracy is 0.71", NOW)

    def test_other_causes_join_it(self) -> None:
        both = Production(metrics=DEGRADED.metrics, alerts=[alert(), alert("b", "drift")])
        episode = open_episode()
        assert follow(episode, both, NOW + MINUTE) == episode

    def test_without_a_cause_there_is_none(self) -> None:
        assert follow(None, Production(metrics=[metric()], seen_well_at=NOW), NOW) is None

    def test_a_metric_that_is_seen_well_after_the_last_cause_closes_it(self) -> None:
        well = Production(metrics=[metric()], seen_well_at=NOW + MINUTE)
        assert follow(open_episode(), well, NOW + 2 * MINUTE) is None

    def test_a_metric_that_was_well_before_says_nothing(self) -> None:
        before = Production(metrics=[metric()], seen_well_at=NOW - MINUTE)
        assert follow(open_episode(), before, NOW + HOUR) is not None

    def test_what_vanishes_is_not_over(self) -> None:
        assert follow(open_episode(), Production(metrics=[metric()]), NOW + 6 * DAY) is not None

    def test_an_alert_that_ends_and_fires_again_within_half_an_hour_is_one(self) -> None:
        assert follow(open_episode(), Production(), NOW + 29 * MINUTE) is not None
        assert follow(open_episode(), Production(), NOW + 30 * MINUTE) is None

    def test_after_a_week_without_any_cause_it_is_over(self) -> None:
        assert follow(open_episode(), Production(metrics=[metric()]), NOW + 7 * DAY) is None


def asks(
    episode: Episode,
    status: TuningStudyStatus = NOTHING_YET,
    after: timedelta = MINUTE,
    production: Production = FIRING,
    **more: Any,
) -> bool:
    retune = ALERTS.model_copy(update=more)
    return request_of(episode, production, status, retune, NOW + after) is not None


class TestWhenAnEpisodeAsksForARound:
    def test_at_once(self) -> None:
        request = request_of(open_episode(), FIRING, NOTHING_YET, ALERTS, NOW)
        assert request is not None
        assert (request.trigger, request.reason) == ("Alert", "accuracy is 0.71")

    def test_by_a_cause_that_may_ask(self) -> None:
        both = Production(metrics=DEGRADED.metrics, alerts=FIRING.alerts)
        request = request_of(open_episode(), both, NOTHING_YET, Retune(triggers=["Degradation"]), NOW)
        assert request is not None and request.trigger == "Degradation"

    def test_not_when_the_cause_is_gone_before_it_could(self) -> None:
        assert not asks(open_episode(), production=Production())

    def test_by_a_metric_only_when_the_evidence_is_enough_for_a_round(self) -> None:
        assert not asks(open_episode(), production=UNSURE)
        assert asks(open_episode(), production=DEGRADED)

    def test_by_our_own_alert_of_a_metric_no_sooner_than_by_the_metric(self) -> None:
        ours = alert(name="TuningModelDegraded")
        assert not asks(open_episode(), production=replace(UNSURE, alerts=[ours]))
        assert asks(open_episode(), production=replace(UNSURE, alerts=[alert()]))
        assert asks(open_episode(), production=Production(alerts=[ours]))

    @pytest.mark.parametrize("outcome", ["Improved", None])
    def test_never_again_after_a_round_that_may_help_once_it_is_in_production(self, outcome: str | None) -> None:
        assert not asks(open_episode(rounds=1), ended(outcome), after=30 * DAY)
        waits = ended(outcome, stable="digits-params-r1", stable_since=NOW, candidate="digits-params-r2")
        assert not asks(open_episode(rounds=1), waits, after=30 * DAY)

    def test_again_after_one_that_is_in_production_and_has_not_mended_it(self) -> None:
        serves = ended("Improved", stable="digits-params-r2", stable_since=NOW + HOUR)
        assert not asks(open_episode(rounds=1), serves, after=13 * HOUR - MINUTE, production=DEGRADED)
        assert asks(open_episode(rounds=1), serves, after=13 * HOUR, production=DEGRADED)

    def test_not_by_what_was_known_before_it_was_in_production(self) -> None:
        serves = ended("Improved", stable="digits-params-r2", stable_since=NOW + HOUR)
        assert not asks(open_episode(rounds=1), serves, after=30 * DAY, production=UNSURE)

    def test_again_after_one_that_was_rolled_back(self) -> None:
        back = ended("Improved", stable="digits-params-r1", rolled_back=[{"parameters": "digits-params-r2"}])
        assert asks(open_episode(rounds=1), back, after=12 * HOUR)

    @pytest.mark.parametrize("outcome", ["NoBetter", "Failed"])
    @pytest.mark.parametrize(("rounds", "hours"), [(1, 12), (2, 24)])
    def test_after_one_that_did_not_help_again_after_twice_as_long_each_time(
        self, outcome: str, rounds: int, hours: int
    ) -> None:
        assert not asks(open_episode(rounds=rounds), ended(outcome), after=hours * HOUR - MINUTE)
        assert asks(open_episode(rounds=rounds), ended(outcome), after=hours * HOUR)

    def test_by_the_manifests_cooldown_and_within_a_week(self) -> None:
        assert not asks(open_episode(rounds=1), ended("NoBetter"), after=HOUR, cooldown=HOUR)
        assert asks(open_episode(rounds=1), ended("NoBetter"), after=2 * HOUR, cooldown=HOUR)
        assert asks(open_episode(rounds=2), ended("NoBetter"), after=7 * DAY, cooldown=6 * DAY)

    def test_no_more_than_three_times(self) -> None:
        assert not asks(open_episode(rounds=MOST_ROUNDS), ended("NoBetter"), after=365 * DAY)


@given(st.lists(st.tuples(st.sampled_from([FIRING, DEGRADED, Production()]), st.integers(1, 29)), max_size=60))
def test_whatever_comes_and_goes_without_half_an_hour_of_quiet_is_one_episode(
    looks: list[tuple[Production, int]],
) -> None:
    """A database, an operator or an Alertmanager that is restarted in between shows as causes that are away."""
    episode, now, quiet = follow(None, FIRING, NOW), NOW, timedelta(0)
    for production, minutes in looks:
        now += minutes * MINUTE
        quiet = timedelta(0) if production.alerts or production.metrics else quiet + minutes * MINUTE
        episode = follow(episode, production, now)
        if quiet >= 25 * MINUTE:  # as seen: the last cause is noted to five minutes
            return
        assert episode is not None and episode.since == NOW
