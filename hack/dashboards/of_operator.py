"""The dashboard of the operator itself: whether it, the exporter and the store do their work."""

from frame import laid_out, titled
from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.builders.prometheus import Dataquery
from panels import lines, number, query, timeline


def build() -> dashboard.Dashboard:
    rate = "rate({}[$__rate_interval])".format
    exporters = "and on (job, instance) tuning_store_up"

    def quantiles(metric: str) -> list[Dataquery]:
        summed = f"sum by (le) ({rate(f'{metric}_bucket')})"
        return [query(f"histogram_quantile({share / 100}, {summed})", f"{share} %") for share in (50, 95, 99)]

    made = titled("Tuning: the operator", "operator", "Whether operator, exporter and store do their work.")
    made.time("now-6h", "now")
    return laid_out(
        made,
        (
            "Operator",
            4,
            [
                number(
                    "Replicas that lead",
                    "sum(tuning_operator_leading) or vector(0)",
                    "One. Without one no study starts, ends, or is retuned.",
                    steps=[(None, "red"), (1, "green"), (2, "red")],
                ),
                number(
                    "Studies that it looks at", "max(tuning_operator_studies)", "Since the replica that leads does so."
                ),
                number(
                    "Does the store answer?",
                    "max(tuning_store_up) or vector(0)",
                    "The PostgreSQL of the studies, as the exporter finds it.",
                    texts={0: ("No", "red"), 1: ("Yes", "green")},
                ),
                number(
                    "Exporters that are scraped",
                    "count(tuning_store_up) or vector(0)",
                    "Without one nothing is known of studies, and no alert on them fires.",
                    steps=[(None, "red"), (1, "green")],
                ),
            ],
        ),
        (
            "",
            8,
            [
                timeline(
                    "Which replica leads?",
                    "max by (instance) (tuning_operator_leading)",
                    "{{instance}}",
                    {0: ("Stands by", "gray"), 1: ("Leads", "green")},
                    "A change within the time shown is a replica that was replaced, or that lost the API server.",
                ),
                lines(
                    "How long does a look at a study take?",
                    quantiles("tuning_reconcile_duration_seconds"),
                    "From observing to the status write: the time that this share of looks took at most.",
                    unit="s",
                ),
                lines(
                    "Looks at studies",
                    [
                        query(f"sum({rate('tuning_reconcile_duration_seconds_count')})", "looks"),
                        query(f"sum({rate('tuning_reconcile_errors_total')})", "errors"),
                    ],
                    "A look that ends in an error is taken again; errors that last are in the operator's log.",
                    unit="ops",
                    colours={"errors": "red"},
                ),
                lines(
                    "How much does it write?",
                    [query(f"sum({rate('tuning_api_writes_total')})", "writes")],
                    "Requests that changed something in the API server.",
                    unit="wps",
                ),
                lines(
                    "Observations",
                    [query(f"sum by (outcome) ({rate('tuning_observations_total')})", "{{outcome}}")],
                    "Answers of Prometheus, and observations that were pushed, by what came of them.",
                    unit="ops",
                ),
                lines(
                    "Memory",
                    [
                        query(
                            f"process_resident_memory_bytes and on (job, instance) {one}", f"{{{{instance}}}} ({name})"
                        )
                        for one, name in (("tuning_operator_leading", "operator"), ("tuning_store_up", "exporter"))
                    ],
                    "Resident, by process.",
                    unit="bytes",
                ),
            ],
        ),
        (
            "Exporter and store",
            8,
            [
                lines(
                    "How long do statements in the store take?",
                    quantiles("tuning_store_operation_duration_seconds"),
                    "One reading of all studies for a scrape: the time that this share took at most.",
                    unit="s",
                ),
                lines(
                    "How long does a scrape of the exporter take?",
                    [query(f"max by (instance) (scrape_duration_seconds {exporters})", "{{instance}}")],
                    "Prometheus gives up after its scrape_timeout, 10 s by default.",
                    unit="s",
                    limit=10,
                ),
                lines(
                    "How many series does it tell?",
                    [query(f"max by (instance) (scrape_samples_scraped {exporters})", "{{instance}}")],
                    "Samples of one scrape, which grow with the studies.",
                ),
                lines(
                    "How many series does it leave out?",
                    [query(f"max by (instance) ({rate('tuning_exporter_series_dropped_total')})", "{{instance}}")],
                    "A scrape tells at most 60 series of a study: few of its features, durations and workers where "
                    "there is no room for more. The series that those would have had, by second.",
                    unit="suffix: /s",
                ),
            ],
        ),
    )
