"""Microphones that are usable in some spans only: the layers, the joined tracks, and what is said."""

from __future__ import annotations

import numpy as np
import pytest
from recordings import RATE, document, improvement, room, save_each, unmix

import bss
from bss.errors import InputError
from bss.pipeline.planning.spans import Layer, Segment, Spans, lay_out, sufficient
from bss.pipeline.stitch import match, weights

SECONDS = 9.0


def test_segments_and_layers_of_two_microphones_with_dead_spans() -> None:
    spans, out = lay_out({1: ((400, 500),), 2: ((450, 1000),)}, 4, 1000, 100)
    assert not out
    assert [(s.start, s.stop, s.mics, s.layer) for s in spans.segments] == [
        (0, 400, (0, 1, 2, 3), 0), (400, 450, (0, 2, 3), 1), (450, 500, (0, 3), 2), (500, 1000, (0, 1, 3), 3),
    ]  # fmt: skip
    assert [layer.parts for layer in spans.layers] == [
        ((0, 400),), ((0, 400), (400, 450)), ((0, 400), (400, 450), (450, 500), (500, 1000)), ((0, 400), (500, 1000)),
    ]  # fmt: skip
    assert all(segment.layer is not None for segment in spans.segments)


def test_a_segment_of_one_microphone_has_no_layer() -> None:
    spans, _ = lay_out({1: ((500, 1000),)}, 2, 1000, 100)
    assert spans.segments[1] == Segment(500, 1000, (0,), None)
    assert any(segment.layer is None for segment in spans.segments)


def test_the_longest_dead_is_left_out_where_nothing_can_be_learned_with_it() -> None:
    spans, out = lay_out({1: ((0, 900),), 2: ((0, 100),)}, 4, 1000, 100)
    assert out == [1]
    assert spans.layers[0].mics == (0, 1, 2)  # counted among those that are kept


@pytest.mark.parametrize(("n_mics", "n_sources", "out"), [(4, None, [3]), (4, 2, [3]), (4, 3, []), (3, None, []), (3, 2, [])])
def test_what_others_can_do_alone(n_mics: int, n_sources: int | None, out: list[int]) -> None:
    assert sufficient({n_mics - 1: ((500, 1000),)}, n_mics, 1000, n_sources) == out
    assert sufficient({n_mics - 1: ((900, 1000),)}, n_mics, 1000, n_sources) == []


def test_cut_and_spread_are_inverse() -> None:
    layer = Layer((0, 2), ((2, 5), (7, 10)))
    x = np.arange(36.0).reshape(3, 12)
    cut = layer.cut(x)
    assert cut.shape == (2, 6)
    whole = layer.spread(cut, 12)
    assert np.array_equal(whole[:, 2:5], x[[0, 2], 2:5])
    assert not whole[:, 5:7].any()


def test_tracks_fade_where_both_layers_are_known() -> None:
    spans = Spans(
        (Layer((0, 1, 2), ((0, 50), (70, 100))), Layer((0, 1), ((0, 100),))),
        (Segment(0, 50, (0, 1, 2), 0), Segment(50, 70, (0, 1), 1), Segment(70, 100, (0, 1, 2), 0)),
    )
    w = weights(spans, 100, 10)
    assert np.allclose(w.sum(0), 1)
    assert (w[0, :40] == 1).all()
    assert w[0, 49] == 0
    assert (w[1, 50:70] == 1).all()
    assert w[1, 70] == 1
    assert (w[0, 80:] == 1).all()


def test_match_finds_the_same_talkers_at_other_levels() -> None:
    rng = np.random.default_rng(0)
    tracks = rng.standard_normal((3, RATE)) * np.repeat(rng.uniform(0, 1, (3, 20)), RATE // 20, axis=1)
    other = 0.1 * tracks[[2, 0, 1]] + 0.01 * rng.standard_normal((3, RATE))
    assert match(tracks, other, RATE).tolist() == [1, 2, 0]


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, np.ndarray]:
    made = room(2, SECONDS, n_mics=3, seed=1, rt60=0.15)
    return made.mixture, made.images[:, 0]


def test_a_span_without_one_microphone_is_separated_with_the_others(scene: tuple[np.ndarray, np.ndarray]) -> None:
    x, truth = scene[0].copy(), scene[1]
    dead = slice(4 * RATE, 6 * RATE)
    x[2, dead] = 0
    result = bss.unmix(x, RATE, n_sources=2)
    assert [(s.start, s.stop, s.mics, s.separated) for s in result.record.spans or []] == [
        (0.0, 4.0, ["channel 1", "channel 2", "channel 3"], True),
        (4.0, 6.0, ["channel 1", "channel 2"], True),
        (6.0, SECONDS, ["channel 1", "channel 2", "channel 3"], True),
    ]
    assert result.sources.shape == (2, x.shape[1])
    assert improvement(truth, result.sources, x[0]).mean() > 8
    assert improvement(truth[:, dead], result.sources[:, dead], x[0, dead]).mean() > 4
    assert result.residual is not None
    assert np.allclose(sum(result.tracks().values()), x[0], atol=1e-5)
    assert any(
        "from 00:04.0 to 00:06.0 the talkers are separated with channel 1 and channel 2 alone" in w for w in result.warnings
    )


def test_the_sound_of_one_microphone_alone_is_in_the_residual(scene: tuple[np.ndarray, np.ndarray], tmp_path) -> None:  # type: ignore[no-untyped-def]
    x, truth = scene[0][:2].copy(), scene[1]
    x[0, 5 * RATE :] = 0
    files = save_each(tmp_path / "mics", x)
    unmix(*files, "-n", 2, "-o", tmp_path / "out")
    written = document(tmp_path / "out")
    assert written["reference"].endswith("mic2.wav")
    assert written["outputs"] == ["source1.wav", "source2.wav", "residual.wav"]
    tracks = np.stack([bss.read(tmp_path / "out" / name)[0][0] for name in written["outputs"]])
    assert tracks.shape == (3, x.shape[1])
    assert not tracks[:2, 5 * RATE + 1 :].any()
    assert np.allclose(tracks[2, 5 * RATE + 1 :], x[1, 5 * RATE + 1 :], atol=1e-4)
    first = slice(0, 5 * RATE)
    assert improvement(truth[:, first], tracks[:2, first], x[0, first]).mean() > 3


def test_no_two_microphones_at_the_same_time() -> None:
    x = np.random.default_rng(0).standard_normal((2, 4 * RATE)).astype(np.float32)
    x[0, : 2 * RATE] = 0
    x[1, 2 * RATE :] = 0
    with pytest.raises(InputError, match="no two microphones are usable at the same time"):
        bss.unmix(0.1 * x, RATE)
