"""Properties of batch fields: a batch is what its samples are, however it is made."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skorch.dataset import Dataset
from torch.utils.data import Subset, default_collate

from skkd._data.batches import (
    TrainingSet,
    WholeBatches,
    batch_of,
    center_weights,
    labelled_part,
    loader,
)
from skkd._data.keys import (
    HARD_WEIGHT,
    INPUT,
    SOFT_WEIGHT,
    TEACHER_LOGITS,
    split_inputs,
)
from skkd._data.weights import sample_weight_fields

FEW = settings(max_examples=30, deadline=None)
FLOATS = st.floats(-100, 100, width=32)


@st.composite
def training_sets(draw):
    """A set of n samples with any kind of input and any batch fields."""
    n = draw(st.integers(1, 12))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=2, max_side=3))
    dtype = draw(st.sampled_from([np.uint8, np.float32, np.float64]))
    X = draw(hnp.arrays(dtype, (n, *shape), elements=st.integers(0, 200)))
    if draw(st.booleans()):
        X = {"a": X, "b": X[::-1].copy()}
    fields = {}
    for key in draw(st.sets(st.sampled_from([TEACHER_LOGITS, HARD_WEIGHT, "more"]))):
        width = draw(st.sampled_from([(), (3,), (2, 3)]))
        fields[key] = draw(hnp.arrays(np.float32, (n, *width), elements=FLOATS))
    y = draw(hnp.arrays(np.int64, n, elements=st.integers(-1, 2)))
    return TrainingSet(Dataset(X, y), X=X, y=y, y_encoded=y, batch_fields=fields)


def indices(samples):
    return st.lists(st.integers(0, len(samples) - 1), min_size=1, max_size=20)


def assert_equal(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_equal(one[key], other[key])
        return
    one, other = torch.as_tensor(one), torch.as_tensor(other)
    assert one.dtype == other.dtype
    assert torch.equal(one, other)


@FEW
@given(st.data(), training_sets())
def test_a_batch_is_its_items_collated(data, samples):
    index = data.draw(indices(samples))
    X, y = samples.batch(np.array(index))
    X_items, y_items = default_collate([samples[i] for i in index])
    assert_equal(X, X_items)
    assert_equal(y, y_items)


@FEW
@given(st.data(), training_sets())
def test_the_module_sees_the_input_alone_and_the_loss_every_field(data, samples):
    index = np.array(data.draw(indices(samples)))
    X, _ = samples.batch(index)
    inputs, fields = split_inputs(X)
    base = TrainingSet(samples.base, X=samples.X, y=samples.y, y_encoded=samples.y)
    assert_equal(inputs, base.batch(index)[0])
    assert fields.keys() == samples.batch_fields.keys()
    assert INPUT not in fields
    for key, values in samples.batch_fields.items():
        assert_equal(fields[key], values[index])


@FEW
@given(st.data(), training_sets())
def test_nested_subsets_are_one_index(data, samples):
    outer = data.draw(indices(samples))
    inner = data.draw(st.lists(st.integers(0, len(outer) - 1), min_size=1, max_size=8))
    part = Subset(Subset(samples, outer), inner)
    expected = samples.batch(np.array(outer)[inner])
    for one, other in zip(batch_of(part, range(len(part))), expected, strict=True):
        assert_equal(one, other)


@FEW
@given(training_sets(), st.integers(1, 13))
def test_batches_in_order_are_all_samples_once(samples, batch_size):
    batches = [*loader(samples, batch_size)]
    assert torch.equal(torch.cat([y for _, y in batches]), torch.as_tensor(samples.y))
    for key, values in samples.batch_fields.items():
        parts = [split_inputs(X)[1][key] for X, _ in batches]
        assert_equal(torch.cat(parts), values)


@FEW
@given(training_sets())
def test_moved_samples_give_the_same_batches(samples):
    index = np.arange(len(samples))[::-1].copy()
    there = WholeBatches(samples.to("cpu"), np.arange(len(samples)), True)
    for one, other in zip(there.__getitems__(index), samples.batch(index), strict=True):
        assert_equal(one, other)


@FEW
@given(training_sets())
def test_the_labelled_part_has_every_labelled_sample_once(samples):
    part = labelled_part(samples)
    labels = [int(part[i][1]) for i in range(len(part))]
    assert labels == samples.y[samples.y >= 0].tolist()


@FEW
@given(st.data(), st.integers(2, 12))
def test_weights_have_mean_1_over_what_is_trained_on(data, n):
    weight = data.draw(hnp.arrays(np.float64, n, elements=st.floats(0.1, 10)))
    labelled = data.draw(hnp.arrays(bool, n))
    labelled[0] = True
    fields = sample_weight_fields(weight, labelled)
    assert np.isclose(fields[SOFT_WEIGHT].mean(), 1)
    assert np.isclose(fields[HARD_WEIGHT].mean(), 1)
    assert (fields[HARD_WEIGHT][~labelled] == 0).all()
    # Twice the weight is twice the share, in both terms.
    ratio = fields[SOFT_WEIGHT] / weight
    np.testing.assert_allclose(ratio, ratio[0])
    y = np.where(labelled, 0, -1)
    samples = TrainingSet(
        Dataset(weight, y), X=weight, y=y, y_encoded=y, batch_fields=dict(fields)
    )
    part = data.draw(st.lists(st.integers(0, n - 1), min_size=1, unique=True))
    center_weights(Subset(samples, part))
    assert np.isclose(samples.batch_fields[SOFT_WEIGHT][part].mean(), 1)
