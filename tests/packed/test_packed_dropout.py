"""Members of a stack drop what they would drop by themselves."""

import numpy as np
import pytest
import torch
from packed_cases import LOGITS, TWO, check_equals_single_fits, folds, student
from torch import nn

from skkd._packed.fits import PackedFits


@pytest.mark.parametrize(
    ("params", "n_groups"),
    [
        ({"module__dropout": 0.5}, 1),
        ({"module__dropout": 0.2, "module__hidden": (12, 8)}, 1),
        ({"module__dropout": 0.2, "optimizer": torch.optim.SGD, "lr": 0.1}, 1),
        ({"module__dropout": 0.2, "iterator_train__drop_last": True}, 1),
        ({"module__dropout": 0.2, "batch_size": -1}, 1),
    ],
)
def test_students_with_dropout(params, n_groups):
    candidates = [*TWO, {"random_state": 5, "alpha": 0.5}]
    data = folds(teacher_logits=LOGITS)
    check_equals_single_fits(student(**params), candidates, data, 1e-4, n_groups)


def test_fractions_in_a_grid_make_groups_of_their_own():
    candidates = [{"module__dropout": p} for p in (0.0, 0.1, 0.4)]
    data = folds(teacher_logits=LOGITS)
    check_equals_single_fits(student(), candidates, data, 1e-4, n_groups=3)


def test_dropout_of_inputs_that_are_images():
    class Net(nn.Sequential):
        def __init__(self, n_classes, input_shape):
            noise = nn.Dropout(0.1)
            hidden = [nn.Linear(64, 8), nn.ReLU(), nn.Dropout(0.3)]
            super().__init__(
                noise, nn.Flatten(), *hidden, nn.Dropout(0.0), nn.Linear(8, n_classes)
            )

    data = [
        fold._replace(X=fold.X.reshape(-1, 1, 8, 8))
        for fold in folds(teacher_logits=LOGITS)
    ]
    fits = PackedFits(student(module=Net), TWO, data, None)
    assert fits.packing == (6, 1, {}, 0)
    for (c, i), packed in fits.fitted.items():
        X, y, fit_params = data[i]
        single = student(module=Net, **TWO[c]).fit(X, y, **fit_params)
        probabilities = [net.predict_proba(X) for net in (packed, single)]
        np.testing.assert_allclose(*probabilities, atol=1e-4)


class Inside(nn.Module):
    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.drop, self.last = nn.Dropout(0.5), nn.Linear(*input_shape, n_classes)

    def forward(self, x):
        return self.last(self.drop(x))


class Functional(Inside):
    def __init__(self, n_classes, input_shape):
        super().__init__(n_classes, input_shape)
        del self.drop

    def forward(self, x):
        return self.last(nn.functional.dropout(x, 0.5, self.training))


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        ({"module": Inside}, "Dropout that is no layer of a Sequential"),
        ({"module": Functional}, "vmap"),
        ({"module__dropout": 0.5, "random_state": None}, "without random_state"),
        (
            {"module": nn.Sequential(nn.Linear(64, 10), nn.AlphaDropout(0.1))},
            "AlphaDropout in the student",
        ),
        (
            {"module": nn.Sequential(nn.Dropout(0.1, inplace=True), nn.Linear(64, 10))},
            "Dropout in the student",
        ),
    ],
)
def test_other_dropout_is_left_to_a_fit_by_itself(params, reason):
    fits = PackedFits(student(**params), TWO, folds(teacher_logits=LOGITS)[:2], None)
    assert fits.fitted == {}
    assert reason in str(fits.packing)
