"""A small network in JAX: trained in epochs that a pruner judges, and gone on with where a stopped worker left it."""

import os
import pickle
from pathlib import Path

import jax
import jax.numpy as jnp
import optuna
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

EPOCHS, BATCH = 20, 128
CHECKPOINT = "epoch.pickle"


def predict(weights, images):
    hidden = jax.nn.relu(images @ weights["in"] + weights["bias"])
    return hidden @ weights["out"]


def loss(weights, images, labels):
    return -jnp.mean(jax.nn.log_softmax(predict(weights, images))[jnp.arange(len(labels)), labels])


@jax.jit
def step(weights, images, labels, rate):
    slopes = jax.grad(loss)(weights, images, labels)
    return jax.tree.map(lambda weight, slope: weight - rate * slope, weights, slopes)


def objective(trial):
    rate = trial.suggest_float("rate", 0.01, 1.0, log=True)
    width = trial.suggest_int("width", 8, 64, log=True)
    images, labels = load_digits(return_X_y=True)
    seed = int(os.environ["TUNING_SEED"]) % 2**31
    images, held_out, labels, truth = train_test_split(images / 16, labels, test_size=0.25, random_state=0)

    checkpoint = Path(os.environ["TUNING_CHECKPOINT_DIR"], CHECKPOINT)
    if checkpoint.exists():  # the worker was stopped in the midst of this trial
        begin, weights = pickle.loads(checkpoint.read_bytes())
    else:
        first, second = jax.random.split(jax.random.key(seed))
        weights = {
            "in": jax.random.normal(first, (64, width)) / 8,
            "bias": jnp.zeros(width),
            "out": jax.random.normal(second, (width, 10)) / width**0.5,
        }
        begin = 0

    for epoch in range(begin, EPOCHS):
        for at in range(0, len(images), BATCH):
            weights = step(weights, images[at : at + BATCH], labels[at : at + BATCH], rate)
        accuracy = float(jnp.mean(predict(weights, held_out).argmax(axis=1) == truth))
        checkpoint.with_suffix(".new").write_bytes(pickle.dumps((epoch + 1, jax.device_get(weights))))
        checkpoint.with_suffix(".new").rename(checkpoint)  # at once, so that half a file is never read
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    trial.set_user_attr("epochsOfThisRun", EPOCHS - begin)
    return accuracy
