"""The training loop whose settings the family torch has: two hidden layers, AdamW, a fixed number of epochs."""

from typing import Any

import numpy as np
import torch
from torch import nn

_EPOCHS = 20


class Net:
    """A classifier in scikit-learn's words."""

    def __init__(self, lr: float, width: int, weight_decay: float, batch_size: int, dropout: float) -> None:
        self._lr, self._width, self._decay, self._batch, self._dropout = lr, width, weight_decay, batch_size, dropout

    def fit(self, features: Any, target: Any) -> "Net":
        torch.manual_seed(0)
        x = torch.as_tensor(np.asarray(features), dtype=torch.float32)
        y = torch.as_tensor(np.asarray(target), dtype=torch.long)
        self._net = nn.Sequential(
            nn.Linear(x.shape[1], self._width),
            nn.ReLU(),
            nn.Dropout(self._dropout),
            nn.Linear(self._width, self._width),
            nn.ReLU(),
            nn.Dropout(self._dropout),
            nn.Linear(self._width, int(y.max()) + 1),
        )
        optimiser = torch.optim.AdamW(self._net.parameters(), lr=self._lr, weight_decay=self._decay)
        for _ in range(_EPOCHS):
            for batch in torch.randperm(len(x)).split(self._batch):
                optimiser.zero_grad()
                nn.functional.cross_entropy(self._net(x[batch]), y[batch]).backward()
                optimiser.step()
        return self

    def predict(self, features: Any) -> Any:
        self._net.eval()
        with torch.no_grad():
            return self._net(torch.as_tensor(np.asarray(features), dtype=torch.float32)).argmax(dim=1).numpy()
