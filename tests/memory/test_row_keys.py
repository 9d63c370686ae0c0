"""Keys of rows: equal for equal rows, wherever they are, and for no others."""

import copy
import itertools
import os
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_array_equal
from PIL import Image
from skorch.helper import SliceDataset
from torch.utils.data import Dataset, TensorDataset

from skkd.images import ImageReader
from skkd.memory._fingerprint import FingerprintError, fingerprint
from skkd.memory._row_keys import row_keys, view_seeds

RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4))


# --- Keys of rows -------------------------------------------------------------------


class Pairs(Dataset):
    """Rows that are made when they are read."""

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, i):
        return self.rows[i], 0


WORDS = np.array(["red", "green", "blue"] * 4)
FRAME = pd.DataFrame(
    {
        "number": X[:, 0],
        "word": WORDS,
        "kind": pd.Categorical(WORDS),
        "whole": pd.array(range(12), dtype="Int64"),
        "when": pd.date_range("2020", periods=12),
        "flag": X[:, 1] > 0,
    }
)
FORMS = {
    "float64": X,
    "float32": X.astype("f"),
    "big-endian": X.astype(">f8"),
    "fortran": np.asfortranarray(X),
    "complex": X + 1j,
    "images": RNG.integers(0, 255, (12, 3, 4, 4), dtype=np.uint8),
    "bool": X > 0,
    "one-column": X[:, 0],
    "texts": WORDS,
    "bytes": WORDS.astype("S"),
    "objects": np.array([[i, f"{i}"] for i in range(12)], dtype=object),
    "dates": FRAME["when"].to_numpy(),
    "records": np.array([(i, i / 2) for i in range(12)], dtype="i4,f8"),
    "masked": np.ma.array(X, mask=X > 0.5),
    "frame": FRAME,
    "numbers-frame": pd.DataFrame(X, columns=[*"abcd"]),
    "series": FRAME["word"],
    "tensor": torch.tensor(X),
    "bfloat16": torch.tensor(X).bfloat16(),
    "one-tensor": torch.arange(12),
    "csr": sp.csr_matrix(X * (X > 0)),
    "csr-array": sp.csr_array(X * (X > 0)),
    "csc": sp.csc_matrix(X * (X > 0)),
    "mapping": {"a": X[:, :2], "b": torch.tensor(X[:, 2:]), "c": WORDS},
}
LISTS = {
    "lists": X.tolist(),
    "arrays": [*X],
    "tensors": [*torch.tensor(X)],
    "strings": WORDS.tolist(),
    "paths": [Path(f"nowhere/{i}") for i in range(12)],
    "ragged": [list(range(i)) for i in range(12)],
    "mixed": [[i, f"{i}", None] for i in range(12)],
    "images-of-pil": [Image.new("L", (2, 2), i) for i in range(12)],
}
LAZY = {
    "tensors": TensorDataset(torch.tensor(X), torch.zeros(12)),
    "arrays": Pairs(X),
    "numbers": Pairs([*range(12)]),
    "texts": Pairs(WORDS.tolist()),
    "pairs-of-inputs": Pairs([(torch.tensor(x), i) for i, x in enumerate(X)]),
    "dicts": Pairs([{"a": x, "b": torch.tensor(x[:2])} for x in X]),
    "nested": Pairs([(x, (x[0], [f"{i}"])) for i, x in enumerate(X)]),
    "pil": Pairs(LISTS["images-of-pil"]),
}
INDEX = np.array([7, 2, 2, 11, 0])


def sliced(form, rows):
    if isinstance(form, dict):
        return {key: value[rows] for key, value in form.items()}
    return form.iloc[rows] if hasattr(form, "iloc") else form[rows]


@pytest.mark.parametrize("form", FORMS)
def test_keys_of_a_slice_are_the_slice_of_the_keys(form):
    keys, kind = row_keys(FORMS[form])
    assert keys.shape == (12, 2) and keys.dtype == np.uint64
    part, kind_of_part = row_keys(sliced(FORMS[form], INDEX))
    assert kind_of_part == kind
    assert_array_equal(part, keys[INDEX])
    n_rows = 12 if form not in ("bool", "texts", "series", "bytes") else 3
    assert form == "bool" or len(np.unique(keys, axis=0)) == n_rows
    again, _ = row_keys(copy.deepcopy(FORMS[form]))
    assert_array_equal(again, keys)


@pytest.mark.parametrize("form", LISTS)
def test_keys_of_lists(form):
    rows = LISTS[form]
    keys, kind = row_keys(rows)
    part, kind_of_part = row_keys([rows[i] for i in INDEX])
    assert kind_of_part == kind
    assert_array_equal(part, keys[INDEX])
    assert len(np.unique(keys, axis=0)) == (3 if form == "strings" else 12)


@pytest.mark.parametrize("wrap", [lambda d: d, SliceDataset])
@pytest.mark.parametrize("form", LAZY)
def test_keys_of_lazy_rows(form, wrap, monkeypatch):
    dataset = wrap(LAZY[form])
    keys, kind = row_keys(dataset)
    assert keys.shape == (12, 2)
    part, kind_of_part = row_keys(torch.utils.data.Subset(LAZY[form], INDEX.tolist()))
    assert kind_of_part == kind
    assert_array_equal(part, keys[INDEX])
    assert len(np.unique(keys, axis=0)) == (3 if form == "texts" else 12)
    monkeypatch.setattr("skkd.memory._row_keys._BATCH_SIZE", 5)
    assert_array_equal(row_keys(dataset)[0], keys)


def test_lazy_images_are_not_read(tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(3)]
    for i, path in enumerate(paths):
        Image.new("RGB", (4, 4), (i, 0, 0)).save(path)
    images = ImageReader(4, lazy=True).fit_transform(paths)
    keys, _ = row_keys(images)
    for path in paths:
        times = os.stat(path)
        Path(path).write_bytes(bytes(times.st_size))
    # Opened again, others; those that were found before are not looked at.
    assert_array_equal(row_keys(images)[0], keys)


def assert_all_differ(forms):
    """Assert that no row of one form is taken for a row of another."""
    names = [
        (kind, *key) for keys, kind in map(row_keys, forms) for key in keys.tolist()
    ]
    assert len(set(names)) == len(names)


def test_every_form_has_keys_of_its_own():
    unlike = {k: v for k, v in FORMS.items() if k not in ("fortran", "series", "texts")}
    unlike = {k: v for k, v in unlike.items() if k not in ("bool", "bytes")}
    for one, other in itertools.combinations(unlike, 2):
        if {one, other} in ({"csr", "csc"}, {"csr", "csr-array"}, {"csc", "csr-array"}):
            continue
        (keys, kind), (others, other_kind) = (
            row_keys(unlike[one]),
            row_keys(unlike[other]),
        )
        both = {*map(tuple, keys.tolist())} & {*map(tuple, others.tolist())}
        assert kind != other_kind or not both, (one, other)


@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "u1", "c16"])
def test_every_bit_of_a_row_counts(dtype):
    row = np.ones((1, 3), dtype=dtype)
    seen = {row_keys(row)[0].tobytes()}
    raw = row.view(np.uint8).reshape(-1)
    for place, bit in itertools.product(range(len(raw)), range(8)):
        raw[place] ^= 1 << bit
        seen.add(row_keys(row)[0].tobytes())
        raw[place] ^= 1 << bit
    assert len(seen) == 1 + 8 * len(raw)


def test_dtypes_and_zeros_are_told_apart():
    zero = np.zeros((1, 4))
    assert_all_differ(
        [
            *(zero, -zero, zero.astype("f"), zero.astype("i8"), zero.astype("M8[s]")),
            *(zero.astype("u1"), zero.astype(bool), zero.astype("i1")),
            *(zero.reshape(1, 2, 2), zero[:, :2], zero.astype(">f8")),
            *(
                torch.zeros(1, 4),
                torch.zeros(1, 4).bfloat16(),
                torch.zeros(1, 4).half(),
            ),
        ]
    )


def test_frames_are_told_apart():
    one = pd.DataFrame({"a": [1, 2], "b": [3, 4]})
    assert_all_differ(
        [
            *(one, one[["b", "a"]], one.rename(columns={"a": "c"}), one.astype(float)),
            *(one.astype("category"), one.astype(str), one.astype(object)),
            *(one.astype("Int64"), one.to_numpy(), one[["a"]]),
            one.rename(columns={"a": 1}),
            one.rename(columns={"a": "1"}),
        ]
    )
    # The index is a name of the row, not its content.
    assert_array_equal(row_keys(one.set_axis([5, 6]))[0], row_keys(one)[0])


def test_words_of_a_frame_are_not_run_together():
    frames = [pd.DataFrame({"a": [a], "b": [b]}) for a, b in [("x", "yz"), ("xy", "z")]]
    assert_all_differ(frames)


def test_mappings_are_told_apart():
    a, b = np.zeros((1, 2)), np.ones((1, 2))
    assert_all_differ(
        [{"a": a, "b": b}, {"a": b, "b": a}, {1: a, "1": b}, {1: b, "1": a}, {"a": a}]
    )


def test_masks_count():
    values = np.zeros((1, 2))
    assert_all_differ(
        [np.ma.array(values, mask=mask) for mask in ([[0, 0]], [[0, 1]], [[1, 1]])]
    )


def test_inputs_of_a_lazy_row_are_told_apart():
    zero, one = torch.zeros(2), torch.ones(2)
    rows = [(zero, one), (one, zero), (one, one), {"a": zero}, {"b": zero}, zero]
    assert_all_differ([Pairs([row]) for row in rows])


def test_palettes_count():
    images = []
    for colour in (10, 20):
        image = Image.new("P", (2, 2))
        image.putpalette([colour] * 3)
        images.append(image)
    assert_array_equal(*map(np.asarray, images))
    assert_all_differ([[image] for image in images])


def test_texts_and_what_they_look_like():
    path = os.path.abspath(__file__)
    stamp = os.stat(path)
    rows = [
        *("1", 1, 1.0, True, None, "", "None", b"1", "\0", "\ud800", ("a", "b"), "ab"),
        *(path, f"file {stamp.st_size} {stamp.st_mtime_ns} {path}", f"text {path}"),
        *(f"{path}\0{stamp.st_size} {stamp.st_mtime_ns}", fingerprint(1)),
    ]
    values = np.empty(len(rows), dtype=object)
    values[:] = rows
    assert_all_differ([values])
    assert_array_equal(row_keys(np.array([path]))[0], row_keys([Path(path)])[0])


@pytest.mark.parametrize("change", ["content", "size", "times", "moved", "gone"])
def test_a_file_that_changes_is_another_row(change, tmp_path, monkeypatch):
    file, other = tmp_path / "a.bin", tmp_path / "b.bin"
    file.write_bytes(b"one")
    other.write_bytes(b"two")
    os.utime(file, ns=(10**18, 10**18))
    os.utime(other, ns=(10**18, 10**18))
    keys = row_keys([str(file), str(other)])[0]
    if change == "content":
        file.write_bytes(b"two")
    elif change == "size":
        file.write_bytes(b"three")
        os.utime(file, ns=(10**18, 10**18))
    elif change == "times":
        os.utime(file)
    elif change == "moved":  # same size, and even the same time
        other.replace(file)
        other.write_bytes(b"new")
    else:
        file.unlink()
    assert (row_keys([str(file)])[0] != keys[:1]).any()
    assert_array_equal(row_keys([file])[0], row_keys([str(file)])[0])
    monkeypatch.chdir(tmp_path)
    assert_array_equal(row_keys(["b.bin"])[0], row_keys([str(other)])[0])


def test_sparse_rows_by_content_and_left_alone():
    messy = sp.csr_matrix(
        (np.array([1.0, 2.0, 3.0]), np.array([2, 0, 0]), np.array([0, 3])), shape=(1, 4)
    )
    for part in (messy.data, messy.indices, messy.indptr):
        part.flags.writeable = False  # as joblib maps large arrays
    tidy = sp.csr_matrix([[5.0, 0, 1.0, 0]])
    assert_array_equal(row_keys(messy)[0], row_keys(tidy)[0])
    assert messy.nnz == 3
    shifted = [sp.csr_matrix([[5.0, 0, 0, 1.0]]), sp.csr_matrix([[5.0, 1.0]])]
    assert_all_differ([tidy, *shifted, tidy.astype("f")])


@pytest.mark.parametrize(
    "rows",
    [
        [threading.Lock()],
        [(i for i in "ab")],
        np.array([lambda: 1], dtype=object),
        Pairs([torch.zeros(2), torch.zeros(3)]),
        object(),
    ],
)
def test_rows_that_cannot_be_known(rows):
    with pytest.raises(FingerprintError, match=r"memory= cannot tell.*memory=False"):
        row_keys(rows)


def test_reading_draws_no_random_number():
    before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for form in (*FORMS.values(), *LISTS.values(), *LAZY.values()):
        row_keys(form)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert_array_equal(np.random.get_state()[1], before[1])


def test_seeds_of_views_go_with_the_row():
    keys, _ = row_keys(X)
    seeds = view_seeds(keys, 3)
    assert seeds.shape == (12, 3) and seeds.dtype == np.int64
    assert len(np.unique(seeds)) == 36
    assert_array_equal(view_seeds(row_keys(X[INDEX])[0], 3), seeds[INDEX])
    # More views leave those there were alone.
    assert_array_equal(view_seeds(keys, 5)[:, :3], seeds)


CATEGORIES = {
    "order": {"categories": ["b", "a"]},
    "unused": {"categories": ["a", "b", "c"]},
    "ordered": {"categories": ["a", "b"], "ordered": True},
}


@pytest.mark.parametrize("name", CATEGORIES)
def test_categories_that_codes_stand_for_count(name):
    values = ["a", "b", "a"]
    plain = pd.DataFrame({"kind": pd.Categorical(values, categories=["a", "b"])})
    other = pd.DataFrame({"kind": pd.Categorical(values, **CATEGORIES[name])})
    assert row_keys(plain)[1] != row_keys(other)[1]
    assert row_keys(plain)[1] == row_keys(plain.iloc[:1])[1]  # a fold keeps them


def test_no_value_of_polars_is_not_nan():
    polars = pytest.importorskip("polars")
    keys, kind = row_keys(polars.DataFrame({"a": [1.0, None, float("nan"), 0.0]}))
    assert len(np.unique(keys, axis=0)) == 4
    assert row_keys(polars.DataFrame({"a": [1.0, 2.0]}))[1] == kind


def test_dictionaries_of_pyarrow():
    pyarrow = pytest.importorskip("pyarrow")
    column = pyarrow.array(["a", "b", "a"]).dictionary_encode()
    keys, _ = row_keys(pyarrow.table({"a": column}))
    assert len(np.unique(keys, axis=0)) == 2
