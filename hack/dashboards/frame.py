"""What the dashboards have in common: their variables, links and lines of panels. Their modules use it."""

import itertools

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as model
from panels import SOURCE, Panel

OVERVIEW = "tuning-overview"
"""The tag of the dashboards that every other one links to."""
STATES = {
    "Pending": "gray",
    "Running": "blue",
    "Verifying": "purple",
    "Suspended": "yellow",
    "Complete": "green",
    "Failed": "red",
}


def titled(title: str, name: str, description: str) -> dashboard.Dashboard:
    tags = ["tuning"] if name == "study" else ["tuning", OVERVIEW]
    made = dashboard.Dashboard(title).uid(f"tuning-{name}").description(description).tags(tags)
    others = dashboard.DashboardLink("Tuning").type(model.DashboardLinkType.DASHBOARDS).tags([OVERVIEW])
    made.link(others.include_vars(True).keep_time(True))
    made.with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    return made.refresh("30s").timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR).editable()


def variable(name: str, text: str) -> dashboard.QueryVariable:
    made = dashboard.QueryVariable(name).label(name.capitalize()).query(text).datasource(SOURCE)
    return made.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)


def laid_out(made: dashboard.Dashboard, *parts: tuple[str, int, list[Panel]]) -> dashboard.Dashboard:
    """Each part has a heading, which may be empty, a height, and panels, which fill its lines."""
    identities = itertools.count(1)
    for heading, height, panels in parts:
        if heading:
            made.with_row(dashboard.Row(heading).id(next(identities)))
        most = 3 if height > 6 else 5
        for start in range(0, len(panels), most):
            line = panels[start : start + most]
            for position, panel in enumerate(line):
                width = 24 * (position + 1) // len(line) - 24 * position // len(line)
                made.with_panel(panel.id(next(identities)).datasource(SOURCE).height(height).span(width))
    return made
