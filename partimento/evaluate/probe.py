"""Linear probes: how much a linear classifier reads from frozen vectors (section 4.1).

Knows: the paper's protocol (one linear layer, learning rate 3e-4 falling linearly to 0, runs of 10, 20 and 50 epochs,
the best of them), with what it leaves open decided here. "Best" is judged on validation. AdamW takes 16 rows a step.
Every channel is brought to mean 0 and deviation 1 over the training files, since one rate must suit encoders of any
scale, and the layer starts at zero: with a few hundred files the rate is too low to forget a random start. Refuses to
know where vectors come from.

    >>> outcome = probe(x, y, validation_x, validation_y)   # doctest: +SKIP
    >>> outcome.predict(test_x)                             # doctest: +SKIP

Shape legend: n examples, E channels of a vector, C classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

EPOCHS: Final = (10, 20, 50)
RATE: Final = 3e-4
_ROWS: Final = 16
_LEAST_DEVIATION: Final = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A fitted probe, and for how many epochs it was."""

    mean_E: Floats
    deviation_E: Floats
    weight_CE: Floats
    bias_C: Floats
    epochs: int

    def predict(self, x_nE: Floats) -> Ints:
        """Class numbers [n]."""
        logits_nC = (x_nE - self.mean_E) / self.deviation_E @ self.weight_CE.T + self.bias_C
        return logits_nC.argmax(1).astype(np.int64)


def probe(
    x_nE: Floats, y_n: Ints, validation_x_nE: Floats, validation_y_n: Ints, *, classes: int, seed: int = 0
) -> Probe:
    """The best of the runs on the validation files; of equals the shortest."""
    mean_E, deviation_E = x_nE.mean(0), np.maximum(x_nE.std(0), _LEAST_DEVIATION)
    x_nE = (x_nE - mean_E) / deviation_E
    best: Probe | None = None
    best_accuracy = 0.0
    for epochs in EPOCHS:
        weight_CE, bias_C = _fit(torch.from_numpy(x_nE), torch.from_numpy(y_n), classes, epochs, seed)
        fitted = Probe(
            mean_E=mean_E,
            deviation_E=deviation_E,
            weight_CE=weight_CE.numpy(),
            bias_C=bias_C.numpy(),
            epochs=epochs,
        )
        accuracy = float((fitted.predict(validation_x_nE) == validation_y_n).mean())
        if best is None or accuracy > best_accuracy:
            best, best_accuracy = fitted, accuracy
    assert best is not None
    return best


def _fit(x_nE: Tensor, y_n: Tensor, classes: int, epochs: int, seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    layer = nn.Linear(x_nE.shape[1], classes)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimiser = torch.optim.AdamW(layer.parameters(), lr=RATE)
    steps, step = epochs * -(-len(x_nE) // _ROWS), 0
    for _ in range(epochs):
        for rows in torch.split(torch.randperm(len(x_nE), generator=generator), _ROWS):
            optimiser.param_groups[0]["lr"] = RATE * (1 - step / steps)
            loss = F.cross_entropy(layer(x_nE[rows]), y_n[rows])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            step += 1
    return layer.weight.detach(), layer.bias.detach()
