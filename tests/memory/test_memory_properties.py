"""Properties of row keys, fingerprints and codecs, for values that hypothesis makes."""

import copy
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from skkd.memory._codecs import codec_for

# By way of the quick hash, which has to see whatever changes a fingerprint.
from skkd.memory._known import known_fingerprint as fingerprint
from skkd.memory._row_keys import row_keys, view_seeds

quick = settings(max_examples=40, deadline=None, derandomize=True, database=None)

DTYPES = st.sampled_from(["f4", "f8", "f2", "i4", "i8", "u1", "?", "c8", "U3", "M8[s]"])


@st.composite
def rows(draw, dtype=DTYPES):
    """Arrays of 1 to 8 rows, some of them equal."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=4))
    few = draw(hnp.arrays(draw(dtype), shape))
    picked = draw(st.lists(st.integers(0, len(few) - 1), min_size=1, max_size=8))
    return few[picked]


def keys_of(X):
    return row_keys(X)[0]


# --- Row keys -------------------------------------------------------------------------


@quick
@given(rows(), st.data())
def test_keys_of_any_slice_are_the_slice_of_the_keys(X, data):
    index = data.draw(st.lists(st.integers(0, len(X) - 1), min_size=1, max_size=10))
    keys, kind = row_keys(X)
    part, kind_of_part = row_keys(X[index])
    assert kind_of_part == kind
    assert_array_equal(part, keys[index])
    assert_array_equal(view_seeds(part, 2), view_seeds(keys, 2)[index])


@quick
@given(rows())
def test_keys_are_equal_for_equal_rows_and_for_no_others(X):
    keys = keys_of(X)
    contents = [(row.dtype.str, row.tobytes()) for row in map(np.asarray, X)]
    same_content = [[a == b for b in contents] for a in contents]
    same_key = (keys[:, None] == keys).all(axis=2)
    assert_array_equal(same_key, same_content)


@quick
@given(rows(), st.randoms(use_true_random=False))
def test_permuted_rows_have_permuted_keys(X, random):
    order = [*range(len(X))]
    random.shuffle(order)
    assert_array_equal(keys_of(X[order]), keys_of(X)[order])
    layouts = [np.asfortranarray(X), X[::-1][::-1], X.copy()]
    for other in layouts:
        assert_array_equal(keys_of(other), keys_of(X))


@quick
@given(hnp.arrays("f4", (3, 4), elements=st.integers(0, 2)))
def test_rows_of_another_dtype_or_container_are_others(X):
    forms = [
        *(X, X.astype("f8"), X.astype("i4"), X.astype(">f4"), X[:, :, None]),
        *(torch.tensor(X), torch.tensor(X).half(), sp.csr_array(X)),
        *({"a": X}, {"b": X}, np.ma.array(X), X.astype(str), X.astype(object)),
    ]
    seen = {(kind, *key) for k, kind in map(row_keys, forms) for key in k.tolist()}
    assert len(seen) == len(forms) * len(np.unique(X, axis=0))


@quick
@given(st.lists(st.text(max_size=4) | st.integers() | st.none(), min_size=1))
def test_keys_of_lists_of_objects(values):
    keys = keys_of([[value] for value in [*values, ""]])
    backwards = keys_of([[value] for value in ["", *values[::-1]]])
    assert_array_equal(backwards, keys[::-1])
    distinct = {(type(value), value) for value in [*values, ""]}
    assert len(np.unique(keys, axis=0)) == len(distinct)


# --- Fingerprints ---------------------------------------------------------------------


class Held:
    def __init__(self, value):
        self.value = value

    def __eq__(self, other):
        return type(other) is Held and identity(self) == identity(other)

    __hash__ = None


LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.binary(max_size=3)
    | st.sets(st.text(max_size=2) | st.integers(-3, 3), max_size=4)
    | st.frozensets(st.frozensets(st.text(max_size=1), max_size=2), max_size=3)
    | hnp.arrays(st.sampled_from(["f4", "i8", "?"]), hnp.array_shapes(max_side=3))
)
NESTED = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        | inner.map(Held)
    ),
    max_leaves=8,
)


def identity(value):
    """Return what tells a value from others, in terms of Python alone."""
    name = type(value).__name__
    if isinstance(value, np.ndarray):
        return name, value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, torch.Tensor):
        return name, identity(value.numpy())
    if isinstance(value, Held):
        return name, identity(value.value)
    if isinstance(value, dict):
        return name, [(key, identity(inner)) for key, inner in value.items()]
    if isinstance(value, (list, tuple)):
        return name, [identity(inner) for inner in value]
    if isinstance(value, (set, frozenset)):
        return name, sorted(repr(identity(inner)) for inner in value)
    return name, repr(value)


@quick
@given(NESTED)
def test_fingerprints_are_stable_under_copies_and_pickling(value):
    wanted = fingerprint(value)
    for twin in (copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert fingerprint(twin) == wanted
        assert fingerprint([twin, value]) == fingerprint([value, twin])


@quick
@given(NESTED, NESTED)
def test_fingerprints_differ_if_anything_in_them_does(one, other):
    same = identity(one) == identity(other)
    assert (fingerprint(one) == fingerprint(other)) == same
    around = [fingerprint({"a": [Held((1, inner))]}) for inner in (one, other)]
    assert (around[0] == around[1]) == same


@quick
@given(
    hnp.arrays("f4", hnp.array_shapes(max_dims=3, max_side=4)),
    st.integers(0, 2**20),
    st.integers(0, 31),
)
def test_fingerprints_of_arrays_and_tensors_show_every_bit(array, place, bit):
    changed = array.copy()
    changed.view(np.uint32).reshape(-1)[place % array.size] ^= np.uint32(1 << bit)
    assert fingerprint(array) != fingerprint(changed)
    assert fingerprint(torch.tensor(array)) != fingerprint(torch.tensor(changed))
    assert fingerprint(array) != fingerprint(torch.tensor(array))


MADE = """
import numpy as np, torch
from skkd.memory._fingerprint import fingerprint
torch.manual_seed(0)
value = [
    {"b", "a", "c", 1, None}, frozenset("xyz"), {frozenset("ab"), frozenset("bc")},
    {"k": np.arange(6.0).reshape(2, 3)[:, ::2], 2: torch.nn.Linear(3, 2)},
    torch.nn.ReLU, np.float32, np.dtype("i4"), torch.float16, len, {3: {"q", "r"}},
]
print(fingerprint(value))
"""


@pytest.mark.slow
def test_fingerprints_are_the_same_in_every_process():
    found = [
        subprocess.run(
            [sys.executable, "-c", MADE],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in "12"
    ]
    assert found[0] == found[1] != ""


# --- Codecs ---------------------------------------------------------------------------


@st.composite
def logits(draw):
    shape = draw(st.integers(1, 5)), draw(st.integers(2, 12))
    numbers = st.floats(-100, 100, width=32)
    return draw(hnp.arrays("f4", shape, elements=numbers))


def both_ways(codec, z):
    return codec.decode(codec.encode(z))


@quick
@given(logits())
def test_float16_keeps_logits_within_half_a_unit(z):
    got = both_ways(codec_for("float16", None, z.shape[1]), z)
    assert got.dtype == np.float32
    assert (np.abs(got - z) <= np.maximum(np.abs(z) * 2.0**-11, 2.0**-25)).all()
    assert_array_equal(both_ways(codec_for("float32", None, z.shape[1]), z), z)


@quick
@given(logits(), st.integers(1, 11), st.sampled_from(["float32", "float16"]))
def test_top_k_keeps_the_largest_logits_and_the_mass_of_the_rest(z, k, dtype):
    n_classes = z.shape[1]
    codec = codec_for(dtype, k, n_classes)
    got = both_ways(codec, z)
    k = min(k, n_classes)
    eps = 0.0 if dtype == "float32" else 2.0**-11
    largest, kept = np.sort(z, axis=1)[:, -k:], np.sort(got, axis=1)[:, -k:]
    assert_allclose(kept, largest, rtol=max(eps, 1e-6), atol=2e-5)
    # What was decoded is stored as it is.
    if dtype == "float32":
        assert_allclose(both_ways(codec, got), got, rtol=1e-5, atol=1e-4)
    # A logit of 100 is stored to 0.03, and so is the logarithm of a probability.
    p, q = (np.sort(softmax(v.astype(float), axis=1), axis=1) for v in (z, got))
    rest = n_classes - k
    assert_allclose(
        q[:, :rest].sum(axis=1), p[:, :rest].sum(axis=1), atol=1e-4 if not eps else 0.03
    )


@pytest.mark.parametrize("k", [None, 1, 3])
@quick
@given(st.data())
def test_rows_are_encoded_one_by_one(k, data):
    z = data.draw(logits())
    codec = codec_for("float32", k, z.shape[1])
    whole = both_ways(codec, z)
    for i in range(len(z)):
        assert_array_equal(both_ways(codec, z[i : i + 1]), whole[i : i + 1])
