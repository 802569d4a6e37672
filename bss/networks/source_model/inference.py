"""The source model's network on NumPy arrays: what `source_model.training` trains, without torch.

A separation should not wait for torch to load. Layers are matrix products, by BLAS, and elementwise steps, most of them in
`block`. Arrays are (C, T, K): channels, patches along time, bands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bss.networks.source_model.block import mix_bands, mix_times

EPSILON = 1e-5  # of batch normalisation


class Mixer:
    """The network with its weights, ready to be applied: gains (4, F, T) from features (4, F, T)."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        w = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self.bins, self.patch_bins = int(config["n_fft"]) // 2, int(config["patch_bins"])
        self.patch_frames = int(config["patch_frames"])
        self.bands = self.bins // self.patch_bins
        self.embed = (matrix(w["embed.weight"]), w["embed.bias"])
        self.blocks = [_Block(w, f"blocks.{k}.", 2 ** (k % int(config["cycle"]))) for k in range(int(config["blocks"]))]
        self.norm = affine(w, "norm.")
        self.head = (matrix(w["head.weight"]), w["head.bias"])

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """(4, F, T) float32, F being `bins`, or one more: the last bin is then as its neighbour."""
        _, bins, frames = features.shape
        p, q, K = self.patch_bins, self.patch_frames, self.bands
        T = -(-frames // q)
        padded = np.zeros((len(features), self.bins, T * q), np.float32)
        padded[:, :, :frames] = features[:, : self.bins]
        x = padded.reshape(-1, K, p, T, q).transpose(0, 2, 4, 3, 1).reshape(-1, T * K)
        x = self.embed[0] @ x
        x += self.embed[1][:, None]
        x = x.reshape(-1, T, K)
        for block in self.blocks:
            block(x)
        scale, shift = self.norm
        x *= scale[:, None, None]
        x += shift[:, None, None]
        np.maximum(x, 0, out=x)
        gains = self.head[0] @ x.reshape(-1, T * K)
        gains += self.head[1][:, None]
        gains = gains.reshape(-1, p, q, T, K).transpose(0, 4, 1, 3, 2).reshape(-1, self.bins, T * q)[:, :, :frames]
        return gains if bins == self.bins else np.concatenate((gains, gains[:, -1:]), axis=1)


class _Block:
    """One block, in place on x (C, T, K)."""

    def __init__(self, w: Mapping[str, np.ndarray], name: str, dilation: int) -> None:
        self.norm_bands, self.norm = affine(w, name + "norm_bands."), affine(w, name + "norm.")
        self.mix = np.ascontiguousarray(w[name + "bands"].transpose(0, 2, 1))  # (groups, from, to)
        taps = w[name + "times.weight"][:, :, 0]  # (C, C, TAPS)
        self.taps = np.ascontiguousarray(taps.transpose(0, 2, 1).reshape(len(taps), -1))
        self.bias = w[name + "times.bias"]
        self.context = matrix(w[name + "context.weight"])
        self.narrow, self.narrow_bias = matrix(w[name + "narrow.weight"]), w[name + "narrow.bias"]
        self.dilation = dilation

    def __call__(self, x: np.ndarray) -> None:
        mean = np.empty((x.shape[0], x.shape[2]), np.float32)
        mix_bands(x, self.mix, *self.norm_bands, mean)
        scale, shift = self.norm
        offset = self.context @ (mean * scale[:, None] + shift[:, None]) + self.bias[:, None]
        mix_times(x, self.taps, scale, shift, offset, self.narrow, self.narrow_bias, self.dilation)


def matrix(weight: np.ndarray) -> np.ndarray:
    """A convolution of one tap as a matrix."""
    return np.ascontiguousarray(weight.reshape(len(weight), -1))


def affine(w: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift (C,) of a batch normalisation in use."""
    scale = w[name + "weight"] / np.sqrt(w[name + "running_var"] + EPSILON)
    shift = w[name + "bias"] - w[name + "running_mean"] * scale
    return scale.astype(np.float32), shift.astype(np.float32)
