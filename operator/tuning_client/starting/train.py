"""Trains a small network, with settings of the environment; tells the metric after every epoch, so that pruners see it.

python train.py classifier|regressor [table.csv target]; without a table, one of scikit-learn's is taken.
"""

import json
import os
import sys

import numpy
import pandas
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn

EPOCHS = 30


def setting(name: str, default: float) -> float:
    return float(os.environ.get("TUNING_PARAM_" + name.upper(), default))


def tell(**metrics: float) -> None:
    if path := os.environ.get("TUNING_METRICS_FILE"):
        with open(path, "a") as file:
            file.write(json.dumps(metrics) + "\n")
    else:
        print(metrics)


def main(kind: str, path: str = "", column: str = "") -> None:
    classifies = kind == "classifier"
    if path:
        table = pandas.read_csv(path)
        features, target = pandas.get_dummies(table.drop(columns=column)).astype(float), table[column]
    else:
        features, target = (load_breast_cancer if classifies else load_diabetes)(return_X_y=True, as_frame=True)
    y = pandas.factorize(target, sort=True)[0] if classifies else (target - target.mean()) / target.std()
    split = train_test_split(features, y, test_size=0.25, random_state=0, stratify=y if classifies else None)
    scaler = StandardScaler().fit(split[0])
    x, x_test = (torch.as_tensor(numpy.nan_to_num(scaler.transform(part))).float() for part in split[:2])
    y, y_test = (torch.tensor(numpy.asarray(part)) for part in split[2:])
    loss = nn.CrossEntropyLoss() if classifies else nn.MSELoss()
    y = y.long() if classifies else y.float()[:, None]

    torch.manual_seed(int(os.environ.get("TUNING_SEED", 0)))
    width, dropout = int(setting("width", 64)), setting("dropout", 0)
    hidden = [nn.LazyLinear(width), nn.ReLU(), nn.Dropout(dropout)]
    hidden += [nn.Linear(width, width), nn.ReLU(), nn.Dropout(dropout)]
    net = nn.Sequential(*hidden, nn.Linear(width, int(y.max()) + 1 if classifies else 1))
    net(x[:1])  # gives the first layer its size
    optimiser = torch.optim.AdamW(net.parameters(), lr=setting("lr", 1e-3), weight_decay=setting("weight_decay", 0.01))
    for epoch in range(EPOCHS):
        net.train()
        for batch in torch.randperm(len(x)).split(int(setting("batch_size", 32))):
            optimiser.zero_grad()
            loss(net(x[batch]), y[batch]).backward()
            optimiser.step()
        net.eval()
        with torch.no_grad():
            predicted = net(x_test)
        if classifies:
            tell(accuracy=accuracy_score(y_test, predicted.argmax(dim=1)), step=epoch)
        else:
            tell(r2=r2_score(y_test, predicted[:, 0]), step=epoch)


if __name__ == "__main__":
    main(*sys.argv[1:])
