"""Spans in which a channel is frozen: every sample has the same value, as where a cable, a radio link or a file failed."""

from __future__ import annotations

import numpy as np

BLOCK_SECONDS = 0.05
SHORTEST_SECONDS = 0.5  # a noise gate closes for less between words, and filters hardly suffer from it
FEWEST = 2  # samples of the same value that extend a span beyond its blocks


def measure(x: np.ndarray, rate: int) -> list[list[tuple[int, int]]]:
    """For each channel of x (M, n) the spans [start, stop) in samples in which it is constant for SHORTEST_SECONDS or more.

    Spans in which all channels are constant are no fault of one of them: the recording was paused.
    """
    block = max(1, round(BLOCK_SECONDS * rate))
    constant = np.stack([_constant_blocks(channel, block) for channel in x])
    constant &= ~constant.all(0)
    least = max(1, round(SHORTEST_SECONDS * rate / block))
    spans = []
    for channel, frozen in zip(x, constant, strict=True):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], frozen.astype(np.int8), [0]]))).reshape(-1, 2)
        spans.append(
            [_exact(channel, a * block, min(b * block, len(channel)), block) for a, b in edges.tolist() if b - a >= least]
        )
    return spans


def _constant_blocks(x: np.ndarray, block: int) -> np.ndarray:
    """Whether each block of x (n,) has one value only; the last block may be shorter."""
    whole = len(x) // block
    blocks = x[: whole * block].reshape(whole, block)
    constant = blocks.max(1) == blocks.min(1)
    rest = x[whole * block :]
    return np.append(constant, rest.max() == rest.min()) if rest.size else np.asarray(constant)


def _exact(x: np.ndarray, start: int, stop: int, block: int) -> tuple[int, int]:
    """The span extended to where its value begins and ends, within the blocks before and after."""
    value = x[start]
    before = x[max(0, start - block) : start][::-1] != value
    after = x[stop : stop + block] != value
    first = start - (int(before.argmax()) if before.any() else len(before))
    last = stop + (int(after.argmax()) if after.any() else len(after))
    return first, last
