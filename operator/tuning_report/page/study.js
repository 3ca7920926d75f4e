// The page of one study: its panels, and what they share: the study, the filter, and the dialog of a trial.

import { contourPanel } from "tuning/contour.js";
import { curvesPanel } from "tuning/curves.js";
import { trialDialog } from "tuning/detail.js";
import { diagnosisPanel } from "tuning/diagnosis.js";
import { h } from "tuning/dom.js";
import { failuresPanel } from "tuning/failures.js";
import { Filter } from "tuning/filter.js";
import { historyPanel } from "tuning/history.js";
import { importancePanel } from "tuning/importance.js";
import { overview } from "tuning/overview.js";
import { parallelPanel } from "tuning/parallel.js";
import { hypervolumePanel } from "tuning/hypervolume.js";
import { paretoPanel } from "tuning/pareto.js";
import { slicesPanel } from "tuning/slices.js";
import { tablePanel } from "tuning/table.js";
import { timelinePanel } from "tuning/timeline.js";
import { tip } from "tuning/tip.js";

/**
 * `update(source)` draws what has changed: data, importances, or the filter. `log(trial)` promises what a trial has
 * written; null where nobody can tell.
 */
export function studyPage(study, importances, log = null) {
  const page = {
    study,
    importances,
    log,
    filter: new Filter(),
    mask: null,
    open: (trial) => dialog.show(trial),
    tip: (trial) => tip(study, trial),
  };
  page.mask = page.filter.mask(study);
  const dialog = trialDialog(page);
  const several = study.objectives.length > 1;
  const panels = [
    overview(page),
    diagnosisPanel(page),
    historyPanel(page),
    ...(several ? [paretoPanel(page), hypervolumePanel(page)] : []),
    importancePanel(page),
    contourPanel(page),
    parallelPanel(page),
    tablePanel(page),
    slicesPanel(page),
    curvesPanel(page),
    timelinePanel(page),
    failuresPanel(page),
  ];
  const update = (source) => {
    page.mask = page.filter.mask(study);
    for (const panel of panels) panel.update(source);
  };
  page.filter.addEventListener("change", ({ detail }) => update(detail.source ?? "filter"));
  update("data");
  const element = h("div", { class: "study" }, panels.map((panel) => panel.element), dialog.element);
  return { element, page, update };
}
