"""Fit the network of the score: several from different starts, of which the mean is taken."""

from __future__ import annotations

import numpy as np
import torch

from bss.networks.source_model.speech_score import FURTHEST, SpeechScore

UNITS, NETWORKS = 24, 3
EPOCHS, BATCH, RATE, DECAY = 80, 256, 1e-2, 0.1
BLUR = 0.15  # standard deviations of noise that is added to the numbers, as there are few tracks


def fit(rows: np.ndarray, talker: np.ndarray) -> SpeechScore:
    """From `numbers` (K, D) of tracks that are a talker or not, (K,) bool.

    Raises
    ------
    ValueError
        All tracks are of one kind.
    """
    if talker.all() or not talker.any():
        raise ValueError("tracks of talkers and of other sounds are needed to tell them apart")
    mean, scale = rows.mean(0), np.maximum(rows.std(0), 1e-6)
    z = torch.tensor(np.clip((rows - mean) / scale, -FURTHEST, FURTHEST), dtype=torch.float32)
    networks = [_trained(z, torch.tensor(talker, dtype=torch.float32), seed) for seed in range(NETWORKS)]
    hidden, hidden_bias, output, output_bias = (
        np.concatenate([list(network.parameters())[k].detach().numpy() for network in networks], axis=axis)
        for k, axis in ((0, 0), (1, 0), (2, 1), (3, 0))
    )
    return SpeechScore(mean, scale, hidden, hidden_bias, output[0] / NETWORKS, np.asarray(output_bias.mean()))


def _trained(z: torch.Tensor, talker: torch.Tensor, seed: int) -> torch.nn.Sequential:
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(z.shape[1], UNITS), torch.nn.Tanh(), torch.nn.Linear(UNITS, 1))
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(z)).split(BATCH):
            scores = network(z[batch] + BLUR * torch.randn(len(batch), z.shape[1]))[:, 0]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(scores, talker[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    return network
