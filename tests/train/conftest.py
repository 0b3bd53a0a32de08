"""Tiny models gain nothing from threads, and waiting for a busy core costs them much."""

import torch

torch.set_num_threads(1)
