"""The dashboard of all studies: which run, which need somebody, and what began new rounds."""

from frame import STATES, laid_out, titled, variable
from grafana_foundation_sdk.builders import dashboard
from panels import bars, counted, lines, number, once, query, rows

FLEET = 'namespace=~"$namespace"'


def build() -> dashboard.Dashboard:
    a_study, a_metric = "namespace, study", "namespace, study, metric"
    runs = f"({once('tuning_study_state', a_study, FLEET, state='Running|Verifying')} == 1)"
    degraded = f"({once('tuning_production_degraded', a_metric, FLEET)} == 1)"
    stale = f"({once('tuning_production_stale', a_metric, FLEET)} == 1)"
    stuck = f'{{{FLEET}, condition=~"Failed|Stalled", status="True"}}'

    def of_running(metric: str, **labels: str) -> str:
        summed = f"sum by ({a_study}) ({once(metric, f'{a_study}, state', FLEET, **labels)})"
        return f"{summed} and on ({a_study}) {runs}"

    def of_degraded(metric: str) -> str:
        return f"{once(metric, a_metric, FLEET)} and on ({a_metric}) {degraded}"

    made = titled("Tuning: all studies", "fleet", "Which studies run, which need somebody, and what began new rounds.")
    made.time("now-24h", "now")
    made.with_variable(
        variable("namespace", "label_values(tuning_study_info, namespace)")
        .multi(True)
        .include_all(True)
        .all_value(".+")
    )
    return laid_out(
        made,
        (
            "Studies",
            4,
            [
                number("Running", f"count({runs}) or vector(0)", "Studies whose round runs, or is verified."),
                number(
                    "Failed or stalled",
                    f"count(count by ({a_study}) (tuning_study_condition{stuck} == 1)) or vector(0)",
                    "Studies that go on only when somebody changes something.",
                    limit=1,
                ),
                number(
                    "Degraded models",
                    f"count(count by ({a_study}) {degraded}) or vector(0)",
                    "Studies whose model in production is worse than it was tuned to be.",
                    limit=1,
                ),
                number(
                    "Models that nobody observes",
                    f"count(count by ({a_study}) {stale}) or vector(0)",
                    "Studies with a metric whose observations are missed.",
                    limit=1,
                ),
            ],
        ),
        (
            "",
            8,
            [
                lines(
                    "Studies by state",
                    [query(f"sum by (state) ({once('tuning_study_state', f'{a_study}, state', FLEET)})", "{{state}}")],
                    "On top of one another.",
                    colours=STATES,
                    stacked=True,
                ),
                lines(
                    "Are the workers there?",
                    [
                        query(
                            f"sum by (state) ({once('tuning_study_workers', f'{a_study}, state', FLEET)})", "{{state}}"
                        )
                    ],
                    "Workers of all studies that should run, and pods that are ready. The others wait for the cluster.",
                    steps=True,
                ),
                lines(
                    "Trials per minute",
                    [
                        query(
                            f"60 * sum(max by ({a_study}) "
                            f"(rate(tuning_trial_duration_seconds_count{{{FLEET}}}[$__rate_interval])))",
                            "trials",
                        )
                    ],
                    "Trials of all studies that ended, whatever came of them.",
                    unit="suffix: /min",
                ),
            ],
        ),
        (
            "Which studies?",
            8,
            [
                rows(
                    "Studies that run",
                    {
                        "round": f"{once('tuning_study_round', a_study, FLEET)} and on ({a_study}) {runs}",
                        "trials done": of_running("tuning_study_trials", state="complete|pruned"),
                        "of": f"{once('tuning_study_trials_target', a_study, FLEET)} and on ({a_study}) {runs}",
                        "failed": of_running("tuning_study_trials", state="failed"),
                        "workers ready": of_running("tuning_study_workers", state="ready"),
                    },
                    "A study's name leads to its dashboard.",
                    ["namespace", "study"],
                ),
            ],
        ),
        (
            "",
            8,
            [
                rows(
                    "Studies that failed or stalled",
                    {"": f"max by ({a_study}, condition, reason) (tuning_study_condition{stuck} == 1)"},
                    "They go on only when somebody changes something; `kubectl describe tstudy` tells what.",
                    ["namespace", "study", "condition", "reason"],
                    values=False,
                ),
                rows(
                    "Degraded models",
                    {
                        "value": of_degraded("tuning_production_value"),
                        "baseline": of_degraded("tuning_production_baseline"),
                        "degraded level": of_degraded("tuning_production_degraded_level"),
                    },
                    "The last observation beside what the study was tuned to.",
                    ["namespace", "study", "metric"],
                ),
            ],
        ),
        (
            "New rounds",
            8,
            [
                bars(
                    "What began new rounds?",
                    counted("tuning_retunes_total", FLEET, "reason"),
                    "{{reason}}",
                    "Retunings in the time shown, by reason.",
                ),
                bars(
                    "Why did requests begin none?",
                    counted("tuning_retunes_suppressed_total", FLEET, "reason"),
                    "{{reason}}",
                    "Refused requests for a round in the time shown.",
                ),
                rows(
                    "Rounds that wait",
                    {"": once("tuning_retune_waiting", f"{a_study}, reason", FLEET)},
                    "Causes that have not begun their next round yet, and why.",
                    ["namespace", "study", "reason"],
                    values=False,
                ),
                bars(
                    "What became of alerts?",
                    counted("tuning_alerts_received_total", "", "outcome"),
                    "{{outcome}}",
                    "Alerts that Alertmanager delivered in the time shown, of all namespaces. `stored` names a study; "
                    "`retried` was not stored, and is delivered again.",
                ),
                bars(
                    "What became of observations?",
                    counted("tuning_observations_total", "", "outcome"),
                    "{{outcome}}",
                    "Observations that were pushed, and answers of Prometheus, in the time shown, of all namespaces.",
                ),
                bars(
                    "What became of predictions?",
                    counted("tuning_predictions_total", "", "outcome"),
                    "{{outcome}}",
                    "Predictions and labels that were pushed in the time shown, of all namespaces. `Late` ones came "
                    "after their window was over, and do not count.",
                ),
            ],
        ),
    )
