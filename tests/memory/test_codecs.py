"""Codecs: what is kept of a row of logits."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax

from skkd.memory._codecs import (
    EncodedLogits,
    FullCodec,
    TopCodec,
    codec_for,
)

# --- What is kept of a row ----------------------------------------------------------


def realistic(n=200, n_classes=1000, seed=0):
    """Return logits of a confident network: (n, n_classes), a peak in noise."""
    rng = np.random.default_rng(seed)
    z = 3 * rng.normal(size=(n, n_classes))
    z[np.arange(n), rng.integers(n_classes, size=n)] += 10
    return z.astype(np.float32)


def both_ways(codec, z):
    return codec.decode(codec.encode(z))


def kl(p_logits, q_logits):
    p, q = (log_softmax(z.astype(np.float64), axis=1) for z in (p_logits, q_logits))
    return (np.exp(p) * (p - q)).sum(axis=1)


def test_float32_is_exact():
    z = realistic(20)
    assert_array_equal(both_ways(FullCodec("float32", 1000), z), z)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0, 1e4])
def test_float16_keeps_eleven_bits(scale):
    z = (scale * np.random.default_rng(0).normal(size=(500, 50))).astype(np.float32)
    z = z.clip(-65504, 65504)
    got = both_ways(FullCodec("float16", 50), z)
    assert got.dtype == np.float32
    # Below 2^-14 its numbers lie 2^-24 apart.
    assert (np.abs(got - z) <= np.maximum(np.abs(z) * 2**-11, 2**-25)).all()


@pytest.mark.parametrize(
    ("T", "p_error", "divergence"), [(1, 2e-3, 1e-5), (4, 3e-4, 1e-6)]
)
def test_float16_against_full_logits(T, p_error, divergence):
    z = realistic()
    got = both_ways(FullCodec("float16", 1000), z)
    assert np.abs(softmax(got / T, 1) - softmax(z / T, 1)).max() < p_error
    assert kl(z / T, got / T).max() < divergence


@pytest.mark.parametrize(("n_classes", "k"), [(1000, 10), (1000, 999), (3, 1), (2, 1)])
def test_top_k_is_exact_for_those_it_keeps(n_classes, k):
    z = realistic(n_classes=n_classes)
    got = both_ways(codec_for("float32", k, n_classes), z)
    top = np.argsort(z, axis=1)[:, -k:]
    assert_array_equal(np.take_along_axis(got, top, 1), np.take_along_axis(z, top, 1))
    p, q = softmax(z.astype(np.float64), 1), softmax(got.astype(np.float64), 1)
    kept = np.take_along_axis(p, top, 1)
    assert_allclose(np.take_along_axis(q, top, 1), kept, rtol=1e-5)
    # The others share what is left, evenly.
    rest = q.copy()
    np.put_along_axis(rest, top, np.nan, 1)
    even = np.tile(np.nanmean(rest, axis=1)[:, None], n_classes)
    others = ~np.isnan(rest)
    assert_allclose(rest[others], even[others], rtol=1e-12)
    assert_allclose(np.nansum(rest, 1), 1 - kept.sum(1), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "k", "T", "p_error", "divergence"),
    [
        # Means over rows of a thousand classes: of the largest error of a probability,
        # and of the divergence. The mass is kept at T=1; softer, some of it moves.
        ("float32", 10, 1, 0.0094, 0.43),
        ("float32", 100, 1, 0.00037, 0.040),
        ("float16", 100, 1, 0.00052, 0.040),
        ("float32", 10, 4, 0.0060, 0.23),
        ("float32", 100, 4, 0.0031, 0.12),
        ("float32", 500, 4, 0.00058, 0.019),
    ],
)
def test_top_k_against_full_logits(dtype, k, T, p_error, divergence):
    z = realistic()
    got = both_ways(codec_for(dtype, k, 1000), z)
    error = np.abs(softmax(got / T, 1) - softmax(z / T, 1)).max(axis=1).mean()
    assert error == pytest.approx(p_error, rel=0.1)
    assert kl(z / T, got / T).mean() == pytest.approx(divergence, rel=0.1)


def test_top_k_of_equal_logits():
    z = np.zeros((4, 6), dtype=np.float32)
    z[1, :3] = 1
    got = both_ways(codec_for("float32", 2, 6), z)
    assert_allclose(got[0], 0, atol=1e-6)
    assert (got[1] == 1).sum() == 2


@pytest.mark.parametrize("k", [3, 4, 1000, None])
def test_top_k_of_all_classes_is_full(k):
    assert isinstance(codec_for("float32", k, 3), FullCodec)
    assert isinstance(codec_for("float32", 2, 3), TopCodec)


@pytest.mark.parametrize("n_classes", [2**16, 2**16 + 1, 70_000])
def test_more_classes_than_two_bytes_count(n_classes):
    z = np.zeros((2, n_classes), dtype=np.float32)
    z[0, -1], z[1, 0], z[1, n_classes // 2] = 5, 4, 3
    codec = codec_for("float32", 2, n_classes)
    got = both_ways(codec, z)
    assert (got[0, -1], got[1, 0], got[1, n_classes // 2]) == (5, 4, 3)
    assert codec.dtype.itemsize == (16 if n_classes == 2**16 else 20)


def test_space_that_is_saved():
    full, half, top = (
        codec_for(*c, 1000).encode(realistic(10)).nbytes
        for c in [("float32", None), ("float16", None), ("float16", 50)]
    )
    assert (full, half, top) == (40_000, 20_000, 10 * (50 * 4 + 2))


@pytest.mark.parametrize("k", [None, 2])
def test_float16_overflow_names_the_remedy(k):
    z = np.array([[1e5, 0, 1, 2]], dtype=np.float32)
    with pytest.raises(ValueError, match=r"reach 1e\+05.*float16.*dtype='float32'"):
        codec_for("float16", k, 4).encode(z)
    assert_array_equal(codec_for("float32", None, 4).encode(z), z)


@pytest.mark.parametrize("k", [None, 2])
def test_encoded_rows_are_decoded_as_they_are_asked_for(k):
    z = realistic(10, 5)
    codec = codec_for("float32", k, 5)
    whole, rows = both_ways(codec, z), EncodedLogits(codec.encode(z), codec)
    assert len(rows) == 10
    for part in (slice(2, 5), np.array([7, 7, 0]), [1], np.arange(10) % 2 == 0):
        assert_array_equal(rows[part], whole[part])
    assert_array_equal(rows[3], whole[3])
    assert rows[3].shape == (5,)


def test_top_k_compares_by_the_columns_that_were_kept():
    codec = codec_for("float32", 1, 3)
    z = np.array([[2.0, 2.0 + 1e-6, -5.0]], dtype=np.float32)
    before = codec.encode(z)
    swapped = z[:, [1, 0, 2]]
    again = codec.decode(codec.encode(swapped, like=before))
    assert_allclose(again, codec.decode(before), atol=1e-5)
    other = codec.decode(codec.encode(swapped))
    assert np.abs(other - codec.decode(before)).max() > 0.5
