"""The source model's network on NumPy arrays: what `autoencoders.source_model` trains, without torch, in pieces of a cache.

A separation should not wait for torch to load. Layers are matrix products, which BLAS does, and steps on single numbers,
which are done while the piece they belong to, some frames of all channels and bands, is in the second-level cache.

Arrays are (C, T, K): channels, patches along time, bands. A step of time is then K numbers in a row, and the taps of a dilated
convolution are contiguous slices.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

PIECE = 12  # patches along time of a piece: 96 channels and 128 bands of them are 0.6 MB
TAPS = 3
EPS = 1e-5  # of batch normalisation


class Mixer:
    """The network with its weights, ready to be applied: gains (4, F, T) from features (4, F, T)."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        w = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self.bins, self.patch_bins = int(config["n_fft"]) // 2, int(config["patch_bins"])
        self.patch_frames, self.groups = int(config["patch_frames"]), int(config["groups"])
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
        patches = padded.reshape(-1, K, p, T, q).transpose(0, 2, 4, 3, 1).reshape(-1, T * K)
        x = self.embed[0] @ patches
        x += self.embed[1][:, None]
        x = x.reshape(-1, T, K)
        for block in self.blocks:
            block(x, self.groups)
        scale, shift = self.norm
        x *= scale
        x += shift
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

    def __call__(self, x: np.ndarray, groups: int) -> None:
        C, T, K = x.shape
        scale, shift = self.norm_bands
        mean = np.zeros((C, K), np.float32)
        for t in range(0, T, PIECE):
            part = x[:, t : t + PIECE]
            h = part * scale
            h += shift
            np.maximum(h, 0, out=h)
            mixed = np.matmul(h.reshape(groups, -1, K), self.mix)
            part += mixed.reshape(part.shape)
            mean += part.sum(1)
        scale, shift = self.norm
        normal = mean / np.float32(T) * scale[:, 0] + shift[:, 0]
        offset = self.context @ normal + self.bias[:, None]
        self._times(x, scale, shift, offset)

    def _times(self, x: np.ndarray, scale: np.ndarray, shift: np.ndarray, offset: np.ndarray) -> None:
        """x += narrow(relu(taps over time of normal x + offset)): results wait until no piece before needs what they replace."""
        C, T, K = x.shape
        d = self.dilation
        held: list[tuple[int, np.ndarray]] = []
        stacked = np.empty((TAPS, C, PIECE, K), np.float32)
        for t in range(0, T, PIECE):
            count = min(PIECE, T - t)
            taps = stacked[:, :, :count]
            for k in range(TAPS):
                first = t + (k - 1) * d
                low, high = max(first, 0), min(first + count, T)
                if high <= low:
                    taps[k] = 0
                    continue
                taps[k, :, : low - first] = 0
                taps[k, :, high - first :] = 0
                inside = taps[k, :, low - first : high - first]
                np.multiply(x[:, low:high], scale, out=inside)
                inside += shift
            h = (self.taps @ np.ascontiguousarray(taps).reshape(TAPS * C, count * K)).reshape(C, count, K)
            h += offset[:, None]
            np.maximum(h, 0, out=h)
            y = (self.narrow @ h.reshape(C, -1)).reshape(C, count, K)
            y += self.narrow_bias[:, None, None]
            held.append((t, y))
            while held and held[0][0] + PIECE <= t + PIECE - d:  # later pieces look back d patches at most
                start, done = held.pop(0)
                x[:, start : start + done.shape[1]] += done
        for start, done in held:
            x[:, start : start + done.shape[1]] += done


def matrix(weight: np.ndarray) -> np.ndarray:
    """A convolution of one tap as a matrix."""
    return np.ascontiguousarray(weight.reshape(len(weight), -1))


def affine(w: Mapping[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Scale and shift (C, 1, 1) of a batch normalisation in use."""
    scale = w[name + "weight"] / np.sqrt(w[name + "running_var"] + EPS)
    shift = w[name + "bias"] - w[name + "running_mean"] * scale
    return scale[:, None, None].astype(np.float32), shift[:, None, None].astype(np.float32)
