"""The denoiser's network on NumPy arrays, block by block: what `denoiser.training` trains, without torch.

A layer applies to its input as one matrix product for all frames of a block; only the recurrent part runs frame by frame, for
all channels at once. Blocks are as long as the caller wants: each continues from the state at the end of the one before.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

FLOOR = np.float32(1e-10)  # powers count from -100 dB, as in `denoiser.model`
MOST_PHASE = np.float32(1.5)  # radians that a gain may shift the phase of a bin by
State = list[np.ndarray]  # of each layer (B, hidden)


class DenoiserNetwork:
    """The network with its weights: gains of spectra, frame after frame."""

    def __init__(self, config: Mapping[str, Any], weights: Mapping[str, np.ndarray]) -> None:
        w = {name: np.asarray(value, np.float32) for name, value in weights.items()}
        self.n_fft, self.hop, self.ahead = int(config["n_fft"]), int(config["hop"]), int(config["ahead"])
        self.hidden, bottleneck = int(config["hidden"]), int(config["bottleneck"])
        self.encode = (transposed(w["encode.weight"]), w["encode.bias"])
        self.layers = [_Layer(w, k) for k in range(int(config["layers"]))]
        # in use a variational code is its mean
        self.code = (transposed(w["code.weight"][:bottleneck]), w["code.bias"][:bottleneck]) if bottleneck else None
        self.decode = (transposed(w["decode.weight"]), w["decode.bias"])

    def start(self, channels: int) -> State:
        """The state before the first frame."""
        return [np.zeros((channels, self.hidden), np.float32) for _ in self.layers]

    def gains(self, X: np.ndarray, state: State) -> np.ndarray:
        """Complex gains (B, T, F) from spectra X (B, T, F); gain t is of frame t - `ahead`. Updates the state."""
        B, T, _ = X.shape
        power = (X.real**2 + X.imag**2).astype(np.float32)
        power += FLOOR
        np.log10(power, out=power)
        power /= 3
        power += 1
        encoded = np.maximum(_applied(self.encode, power.reshape(B * T, -1)), 0).reshape(B, T, -1)
        h = encoded
        for k, layer in enumerate(self.layers):
            h, state[k] = layer(h, state[k])
        recurrent = h.reshape(B * T, -1)
        code = recurrent if self.code is None else _applied(self.code, recurrent)
        decoded = _applied(self.decode, np.concatenate((code, encoded.reshape(B * T, -1)), axis=1)).reshape(B, T, -1)
        size, phase = np.split(decoded, 2, axis=2)
        return np.asarray(_sigmoid(size) * np.exp(1j * MOST_PHASE * np.tanh(phase)), np.complex64)


class _Layer:
    """A gated recurrent unit (Cho et al. 2014), its gates in the order reset, update, new, as torch has them."""

    def __init__(self, w: Mapping[str, np.ndarray], index: int) -> None:
        ending = f"l{index}"
        self.inward = (transposed(w[f"remember.weight_ih_{ending}"]), w[f"remember.bias_ih_{ending}"])
        self.onward = (transposed(w[f"remember.weight_hh_{ending}"]), w[f"remember.bias_hh_{ending}"])

    def __call__(self, x: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Outputs (B, T, H) and the last of them."""
        B, T, _ = x.shape
        H = h.shape[1]
        driven = _applied(self.inward, x.reshape(B * T, -1)).reshape(B, T, -1)
        weight, bias = self.onward
        out = np.empty((B, T, H), np.float32)
        for t in range(T):
            own = h @ weight
            own += bias
            now = driven[:, t]
            gates = _sigmoid(now[:, : 2 * H] + own[:, : 2 * H])
            reset, update = gates[:, :H], gates[:, H:]
            new = np.tanh(now[:, 2 * H :] + reset * own[:, 2 * H :])
            h = new + update * (h - new)
            out[:, t] = h
        return out, h


def transposed(weight: np.ndarray) -> np.ndarray:
    """A weight matrix (out, in) as (in, out), contiguous: what products with frames as rows want."""
    return np.ascontiguousarray(weight.T)


def _applied(layer: tuple[np.ndarray, np.ndarray], x: np.ndarray) -> np.ndarray:
    y = x @ layer[0]
    y += layer[1]
    return np.asarray(y)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    # by the hyperbolic tangent, which does not overflow
    return np.asarray(0.5 * np.tanh(0.5 * x) + np.float32(0.5), np.float32)
