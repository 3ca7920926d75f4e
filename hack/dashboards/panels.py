"""The kinds of panels and queries that the dashboards are made of. The modules of the dashboards use it."""

from collections.abc import Mapping, Sequence
from typing import Any

from grafana_foundation_sdk.builders import bargauge, common, dashboard, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

SOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
STUDY_LINK = {
    "title": "The study",
    "url": "/d/tuning-study?var-datasource=${datasource}&var-namespace=${__data.fields.namespace}"
    "&var-study=${__data.fields.study}&${__url_time_range}",
}
LETTERS = "ABCDEFGH"
"""By which a panel tells its queries apart."""

Panel = Any
"""A builder of the SDK's: each kind of panel has a class of its own, without a common one."""


# --- Queries


def once(metric: str, by: str, selector: str, **patterns: str) -> str:
    """One series of those that replicas of the exporter tell alike."""
    chosen = ", ".join([selector, *(f'{label}=~"{pattern}"' for label, pattern in patterns.items())])
    return f"max by ({by}) ({metric}{{{chosen}}})"


def counted(counter: str, selector: str, by: str) -> str:
    """Events in the time shown. A series begins with its first event, which `increase` alone would not count."""
    series = f"{counter}{{{selector}}}" if selector else counter
    return f"sum by ({by}) (({series} unless {series} offset $__range) or increase({series}[$__range])) > 0"


def query(expression: str, legend: str, *, instant: bool = False, as_table: bool = False) -> Dataquery:
    made = Dataquery().expr(expression).legend_format(legend).datasource(SOURCE)
    made = made.format(PromQueryFormat.TABLE if as_table else PromQueryFormat.TIME_SERIES)
    return made.instant() if instant else made.range()


# --- Panels


def number(
    title: str,
    expression: str,
    description: str,
    *,
    legend: str = "",
    unit: str = "short",
    limit: float | None = None,
    steps: Sequence[tuple[float | None, str]] = (),
    texts: Mapping[int, tuple[str, str]] | None = None,
) -> Panel:
    """`limit` is where it becomes red; `steps` are colours and where they begin."""
    made = stat.Panel().title(title).description(description).unit(unit)
    asking(made, query(expression, legend, instant=True)).graph_mode(options.BigValueGraphMode.NONE)
    if texts:
        made.mappings(mappings(texts))
    return made.thresholds(thresholds(steps or [(None, "text"), *([(limit, "red")] if limit is not None else [])]))


def named(
    title: str, expression: str, legend: str, colours: Mapping[str, str], *, nothing: str = "No such study"
) -> Panel:
    """The legend of what the expression finds, instead of its value."""
    made = asking(stat.Panel().title(title).no_value(nothing), query(expression, legend, instant=True))
    made.text_mode(options.BigValueTextMode.NAME).graph_mode(options.BigValueGraphMode.NONE)
    made.color_mode(options.BigValueColorMode.BACKGROUND if colours else options.BigValueColorMode.VALUE)
    return coloured(made.thresholds(thresholds([(None, "text")])), colours)


def lines(
    title: str,
    targets: Sequence[Dataquery],
    description: str,
    *,
    unit: str = "short",
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
    steps: bool = False,
    limit: float | None = None,
    right_axis: str = "",
) -> Panel:
    """`limit` is drawn as a line; `right_axis` is the series that has an axis of its own."""
    made = timeseries.Panel().title(title).description(description).unit(unit).line_width(2)
    asking(made, *targets)
    made.tooltip(common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI))
    if steps:
        made.line_interpolation(options.LineInterpolation.STEP_AFTER)
    if stacked:
        made.fill_opacity(40).stacking(common.StackingConfig().mode(options.StackingMode.NORMAL))
        made.override_by_name(
            "target",
            [
                model.DynamicConfigValue("custom.stacking", {"mode": "none"}),
                model.DynamicConfigValue("custom.fillOpacity", 0),
                *dashed("text"),
            ],
        )
    if limit is not None:
        made.thresholds(thresholds([(None, "transparent"), (limit, "red")])).axis_soft_min(0).axis_soft_max(limit)
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(options.GraphTresholdsStyleMode.DASHED))
    if right_axis:
        made.override_by_name(right_axis, [model.DynamicConfigValue("custom.axisPlacement", "right")])
    made.override_by_regexp(".*: baseline", dashed("green")).override_by_regexp(".*: degraded level", dashed("red"))
    return coloured(made, colours or {})


def timeline(title: str, expression: str, legend: str, texts: Mapping[int, tuple[str, str]], description: str) -> Panel:
    made = asking(statetimeline.Panel().title(title).description(description), query(expression, legend))
    made.mappings(mappings(texts)).show_value(options.VisibilityMode.AUTO)
    return made.color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))


def bars(title: str, expression: str, legend: str, description: str) -> Panel:
    made = asking(bargauge.Panel().title(title).description(description), query(expression, legend, instant=True))
    made.orientation(options.VizOrientation.HORIZONTAL).no_value("None").min(0).decimals(0)
    return made.thresholds(thresholds([(None, "blue")])).display_mode(options.BarGaugeDisplayMode.BASIC)


def rows(
    title: str, columns: Mapping[str, str], description: str, labels: Sequence[str], *, values: bool = True
) -> Panel:
    """A table: a row for each set of labels, and a column for each expression, unless `values` do not matter."""
    made = table.Panel().title(title).description(description).no_value("None").show_header(True)
    asking(made, *(query(expression, "", instant=True, as_table=True) for expression in columns.values()))
    names = ["Value"] if len(columns) == 1 else [f"Value #{letter}" for letter in LETTERS[: len(columns)]]
    headings = dict(zip(names, columns, strict=True))
    hidden = dict.fromkeys(["Time", *([] if values else headings)], True)
    order = {name: position for position, name in enumerate([*labels, *headings])}
    made.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    made.with_transformation(
        model.DataTransformerConfig(
            id_val="organize",
            options={"excludeByName": hidden, "indexByName": order, "renameByName": headings if values else {}},
        )
    )
    return made.override_by_name("study", [model.DynamicConfigValue("links", [STUDY_LINK])])


def asking(panel: Panel, *queries: Dataquery) -> Panel:
    for letter, one in zip(LETTERS, queries, strict=False):
        panel.with_target(one.ref_id(letter))
    return panel


def coloured(panel: Panel, colours: Mapping[str, str]) -> Panel:
    """By the names of its series."""
    for name, colour in colours.items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        panel.override_by_name(name, [model.DynamicConfigValue("color", fixed)])
    return panel


def dashed(colour: str) -> list[model.DynamicConfigValue]:
    return [
        model.DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [10, 10]}),
        model.DynamicConfigValue("custom.lineWidth", 1),
        model.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": colour}),
    ]


def thresholds(steps: Sequence[tuple[float | None, str]]) -> dashboard.ThresholdsConfig:
    made = [model.Threshold(value=value, color=colour) for value, colour in steps]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(made)


def mappings(texts: Mapping[int, tuple[str, str]]) -> list[model.ValueMapping]:
    shown = {
        str(value): model.ValueMappingResult(text=text, color=colour, index=index)
        for index, (value, (text, colour)) in enumerate(texts.items())
    }
    return [model.ValueMap(options=shown)]
