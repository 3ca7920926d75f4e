"""A network trained by scikit-learn in epochs that a pruner judges, and gone on with where a stopped worker left it."""

import os
import pickle
import warnings
from pathlib import Path

import optuna
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

EPOCHS = 27
CHECKPOINT = "epoch.pickle"


def objective(trial):
    seed = int(os.environ["TUNING_SEED"]) % 2**31
    images, labels = load_digits(return_X_y=True)
    images, held_out, labels, truth = train_test_split(images / 16, labels, test_size=0.3, random_state=0)

    checkpoint = Path(os.environ["TUNING_CHECKPOINT_DIR"], CHECKPOINT)
    if checkpoint.exists():  # the worker was stopped in the midst of this trial
        begin, network = pickle.loads(checkpoint.read_bytes())
    else:
        begin, network = 0, made(trial.params, seed)

    warnings.simplefilter("ignore", ConvergenceWarning)
    for epoch in range(begin, EPOCHS):
        network.partial_fit(images, labels, classes=range(10))
        accuracy = network.score(held_out, truth)
        checkpoint.with_suffix(".new").write_bytes(pickle.dumps((epoch + 1, network)))
        checkpoint.with_suffix(".new").rename(checkpoint)  # at once, so that half a file is never read
        trial.report(accuracy, epoch + 1)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("epochsOfThisRun", EPOCHS - begin)
    return accuracy


def made(params, seed):
    return MLPClassifier(
        hidden_layer_sizes=(params["width"],) * params["layers"],
        activation=params["activation"],
        solver="sgd",
        learning_rate_init=params["rate"],
        momentum=params["momentum"],
        alpha=params["alpha"],
        batch_size=params["batch"],
        random_state=seed,
    )
