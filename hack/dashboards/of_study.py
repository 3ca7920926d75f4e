"""The dashboard of one study: its round, and its model in production."""

from frame import STATES, laid_out, titled, variable
from grafana_foundation_sdk.builders import dashboard
from panels import bars, counted, lines, named, number, once, query, rows, timeline

STUDY = 'namespace="$namespace", study="$study"'
TRIALS = {"complete": "green", "pruned": "yellow", "failed": "red", "running": "blue", "waiting": "gray"}


def build() -> dashboard.Dashboard:
    of_metric = f"{{{STUDY}}}"
    asked = {reason: counted(f"tuning_{reason}_total", STUDY, "reason") for reason in ("retunes", "retunes_suppressed")}
    done = f"sum({once('tuning_study_trials', 'state', STUDY, state='complete|pruned')})"
    made = titled("Tuning: a study", "study", "One study: its round, and its model in production.")
    made.time("now-6h", "now")
    made.with_variable(variable("namespace", "label_values(tuning_study_info, namespace)"))
    made.with_variable(variable("study", 'label_values(tuning_study_info{namespace="$namespace"}, study)'))
    return laid_out(
        made,
        (
            "The round",
            4,
            [
                named("State", f"{once('tuning_study_state', 'state', STUDY)} == 1", "{{state}}", STATES),
                number("Round", f"max(tuning_study_round{of_metric})", "The round that runs or ran last."),
                number(
                    "How much of the budget is used?",
                    f"{done} / max(tuning_study_trials_target{of_metric})",
                    "Complete and pruned trials out of budget.trials. A budget of time alone has no such share.",
                    unit="percentunit",
                ),
                number(
                    "Workers that are ready",
                    f'max(tuning_study_workers{{{STUDY}, state="ready"}})',
                    "Pods of the round that are ready.",
                ),
            ],
        ),
        (
            "",
            8,
            [
                lines(
                    "Trials by state",
                    [
                        query(once("tuning_study_trials", "state", STUDY), "{{state}}"),
                        query(f"max(tuning_study_trials_target{of_metric})", "target"),
                    ],
                    "Of the round, on top of one another; the target counts complete and pruned ones.",
                    colours=TRIALS,
                    stacked=True,
                ),
                lines(
                    "Is the best value still getting better?",
                    [query(once("tuning_study_best_value", "metric", STUDY), "{{metric}}")],
                    "Metrics of the round's best trial so far.",
                ),
                lines(
                    "Trials per minute",
                    [
                        query(
                            f"60 * max(rate(tuning_trial_duration_seconds_count{of_metric}[$__rate_interval]))",
                            "trials",
                        )
                    ],
                    "Trials that ended, whatever came of them.",
                    unit="suffix: /min",
                ),
                lines(
                    "How long does a trial take?",
                    [
                        query(
                            f"histogram_quantile({share}, {once('tuning_trial_duration_seconds_bucket', 'le', STUDY)})",
                            legend,
                        )
                        for share, legend in ((0.5, "half take at most"), (0.95, "95 % take at most"))
                    ],
                    "Of all trials of the round that have ended; estimated from a histogram.",
                    unit="s",
                ),
                lines(
                    "Are the workers there?",
                    [query(once("tuning_study_workers", "state", STUDY), "{{state}}")],
                    "Workers that should run, and pods that are ready.",
                    steps=True,
                ),
                lines(
                    "Pareto set",
                    [
                        query(f"max(tuning_study_hypervolume{of_metric})", "hypervolume"),
                        query(f"max(tuning_study_pareto_trials{of_metric})", "trials"),
                    ],
                    "Of a study with several objectives: trials that no other one beats, and the share that they "
                    "dominate of the box between the worst and the best values.",
                    right_axis="trials",
                ),
            ],
        ),
        (
            "The model in production",
            8,
            [
                lines(
                    "Is the model as good as it was tuned to be?",
                    [
                        query(once("tuning_production_value", "metric", STUDY), "{{metric}}"),
                        query(once("tuning_production_baseline", "metric", STUDY), "{{metric}}: baseline"),
                        query(once("tuning_production_degraded_level", "metric", STUDY), "{{metric}}: degraded level"),
                    ],
                    "Observations, the value of a model that is well, and the value from which one is degraded.",
                ),
                lines(
                    "How sure is it that the model is degraded?",
                    [query(once("tuning_production_evidence", "metric", STUDY), "{{metric}}")],
                    "Evidence as a share of what is needed: degraded from 1 on, well again at 0.",
                    limit=1,
                ),
                timeline(
                    "Is the model well?",
                    f"{once('tuning_production_degraded', 'metric', STUDY)}"
                    f" + 2 * {once('tuning_production_stale', 'metric', STUDY)}",
                    "{{metric}}",
                    {
                        0: ("Well", "green"),
                        1: ("Degraded", "red"),
                        2: ("Stale", "orange"),
                        3: ("Degraded, stale", "red"),
                    },
                    "Stale: observations are missed, so that nobody knows.",
                ),
            ],
        ),
        (
            "",
            6,
            [
                number(
                    "Age of the last observation",
                    f"time() - {once('tuning_production_observation_timestamp_seconds', 'metric', STUDY)}",
                    "Since it was made, by metric.",
                    legend="{{metric}}",
                    unit="s",
                ),
                number(
                    "Rounds for what is wrong now",
                    f"max(tuning_retune_episode_rounds{of_metric}) or vector(0)",
                    "Rounds that one cause has started. From 3 on more of the same search will hardly help.",
                    limit=3,
                ),
                named(
                    "What does the next round wait for?",
                    once("tuning_retune_waiting", "reason", STUDY),
                    "{{reason}}",
                    {},
                    nothing="Nothing",
                ),
                bars(
                    "What began new rounds?", asked["retunes"], "{{reason}}", "Retunings in the time shown, by reason."
                ),
                bars(
                    "Why did requests begin none?",
                    asked["retunes_suppressed"],
                    "{{reason}}",
                    "Refused requests for a round in the time shown.",
                ),
            ],
        ),
        (
            "Conditions",
            8,
            [
                rows(
                    "Conditions",
                    {"": once("tuning_study_condition", "condition, status, reason", STUDY)},
                    "As `kubectl describe tstudy` tells them, with messages.",
                    ["condition", "status", "reason"],
                    values=False,
                )
            ],
        ),
    )
