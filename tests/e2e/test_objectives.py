"""The other objectives, on the cluster: python from a ConfigMap, a command, and tables from a volume."""

import pytest

from e2e.conftest import Kubectl

pytestmark = pytest.mark.cluster

HEAD = "apiVersion: tuning.dev/v1alpha1\nkind: TuningStudy\nmetadata: {name: it}\nspec:\n"


def test_a_python_objective_from_a_config_map(kubectl: Kubectl) -> None:
    code = "def objective(trial):\n    return (trial.suggest_float('x', -5, 5) - 2) ** 2\n"
    kubectl(f'create configmap my-code --from-literal="mine.py={code}"')
    kubectl.apply(
        HEAD
        + """
  metrics: [{name: loss, direction: Minimize}]
  objective: {python: {function: "mine:objective", configMap: my-code}}
  budget: {trials: 15}
"""
    )

    kubectl.wait("it", "Complete")

    best = kubectl.status("it")["best"]
    assert best["parameters"][0]["name"] == "x"


def test_a_command_reaches_its_goal_and_stops(kubectl: Kubectl) -> None:
    kubectl.apply(
        HEAD
        + """
  metrics: [{name: loss, direction: Minimize, goal: 0.9}]
  parameters: [{name: x, type: Float, min: 0, max: 1}]
  objective: {command: {command: [sh, -c], args: ["echo loss={x}"]}}
  budget: {trials: 1000}
"""
    )

    kubectl.wait("it", "Complete")

    assert kubectl.condition("it", "Complete")["reason"] == "GoalReached"
    assert kubectl.status("it")["trials"]["complete"] < 1000


def test_a_csv_from_a_volume_with_two_objectives_and_a_constraint(kubectl: Kubectl) -> None:
    rows = "\n".join(f"{i % 7},{i % 3},{int(i % 7 > 3)}" for i in range(120))
    kubectl("create configmap table --from-file=data.csv=/dev/stdin", f"a,b,label\n{rows}\n")
    kubectl.apply(
        HEAD
        + """
  metrics:
    - {name: accuracy, direction: Maximize}
    - {name: modelBytes, direction: Minimize}
  constraints: [{metric: accuracy, min: 0.6}]
  parameters: [{name: max_depth, type: Int, min: 1, max: 6}]
  objective:
    sklearn:
      steps: [{class: sklearn.tree.DecisionTreeClassifier}]
      dataset: {csv: {path: /data/data.csv, target: label}}
      crossValidation: {folds: 3}
  strategy: {sampler: {type: NSGAII, options: {populationSize: 8}}}
  budget: {trials: 16}
  workers:
    replicas: 2
    volumes: [{name: data, configMap: {name: table}}]
    volumeMounts: [{name: data, mountPath: /data}]
"""
    )

    kubectl.wait("it", "Complete")

    status = kubectl.status("it")
    assert status["pareto"]["size"] >= 1
    assert status["best"]["feasible"]
    assert [metric["name"] for metric in status["best"]["metrics"]] == ["accuracy", "modelBytes"]
