"""lookup_or_compute: outputs of rows and of their views, computed or cached."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

from skkd.exceptions import DistillationWarning
from skkd.memory import CacheInfo, LogitMemory
from skkd.memory import _lookup as lookup
from skkd.memory._lookup import lookup_or_compute, sum_cache_infos

X = np.arange(40, dtype=np.float32).reshape(10, 4)
COLUMNS = np.arange(2)


class Forward:
    """Notes how many rows go through it."""

    def __init__(self):
        self.n_rows = []

    def __call__(self, rows):
        self.n_rows.append(len(rows))
        return np.asarray(rows, dtype=np.float32)[:, :2]


class Shift:
    """Adds the seed of a view to each row."""

    def __init__(self, factor=1):
        self.factor = factor

    def __call__(self, rows, seeds):
        return torch.as_tensor(rows) + self.factor * torch.as_tensor(seeds)[:, None]


@pytest.mark.parametrize("memory", [None, "folder", LogitMemory(), False])
def test_rows_are_computed_unless_they_are_cached(memory, tmp_path):
    memory = tmp_path if memory == "folder" else memory
    forward = Forward()
    for n, misses in ((6, 6), (10, 4), (10, 0)):
        values, info = lookup_or_compute(
            forward, "teacher", COLUMNS, X[:n], memory=memory
        )
        assert_array_equal(values, X[:n, :2])
        misses = n if memory is False else misses
        assert info[:2] == (misses, n - misses)
    assert sum(forward.n_rows) == (26 if memory is False else 10)


def test_content_and_columns_tell_outputs_apart():
    for content in ("a", "b", ("a", 1)):
        for columns in (COLUMNS, COLUMNS[::-1]):
            info = lookup_or_compute(Forward(), content, columns, X, memory=None)[1]
            assert info.misses == 10


@pytest.mark.parametrize("memory", [None, False])
@pytest.mark.parametrize("batch_size", [3, 1024])
def test_views_are_those_of_their_seeds(memory, batch_size, monkeypatch):
    monkeypatch.setattr(lookup, "_BATCH_SIZE", batch_size)
    seeds = np.arange(20).reshape(10, 2)

    def get(n_views=2, augment=None, rows=slice(None)):
        return lookup_or_compute(
            Forward(),
            "teacher",
            COLUMNS,
            X[rows],
            memory=memory,
            view_seeds=seeds[rows, :n_views],
            augment=augment or Shift(),
            cast=lambda rows: 2 * rows,
        )

    values, info = get()
    assert values[:].shape == (10, 2, 2) and len(values) == 10
    assert_array_equal(values[:], 2 * X[:, None, :2] + seeds[:, :, None])
    assert_array_equal(values[[3, 1]], values[:][[3, 1]])
    assert info.misses == 20
    cached = memory is None
    assert get(1)[1].hits == 10 * cached
    part, info = get(rows=slice(7, 2, -2))
    assert_array_equal(part[:], values[7:2:-2])
    assert info.hits == 6 * cached
    assert get(augment=Shift(2))[1].misses == 20


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_outputs_that_are_not_finite_are_not_cached(wrong, dtype):
    def forward(rows):
        return np.where(rows[:, :2] == 8, wrong, rows[:, :2]).astype(np.float32)

    memory = LogitMemory(dtype=dtype)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"infinities or NaN.*check the teacher"):
            lookup_or_compute(forward, "teacher", COLUMNS, X, memory=memory)


def test_what_cannot_be_identified_is_computed_each_time_and_noted():
    def get(memory):
        content = (i for i in range(3))
        return lookup_or_compute(Forward(), content, COLUMNS, X, memory=memory)

    for _ in range(2):
        values, info = get(None)
        assert_array_equal(values, X[:, :2])
        assert info[:2] == (10, 0)
        assert "memory= cannot tell one teacher" in info.note
    with pytest.warns(DistillationWarning, match="memory=False"):
        _, again = get(LogitMemory())
    assert again == info


def test_passes_are_summed_and_notes_named_once():
    infos = [CacheInfo(1, 2, 3, 4, "a"), CacheInfo(), CacheInfo(10, 20, 30, 40, "a")]
    assert sum_cache_infos(infos) == CacheInfo(11, 22, 33, 44, "a")
    assert sum_cache_infos(infos[:1]) == infos[0]
    assert sum_cache_infos([infos[0], CacheInfo(note="b")]).note == "a b"
