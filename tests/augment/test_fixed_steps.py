"""Steps of augment= that scale or reorder are refused, random changes are not."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn
from torchvision.transforms import v2

from skkd import DistilledClassifier
from skkd.augment import ColorJitter, Compose, Mixup, RandomErasing
from skkd.exceptions import DistillationWarning
from skkd.students import SmallCNN

DIGITS, Y = load_digits(return_X_y=True)
Y = Y[:200]
GRAY = (DIGITS[:200] * 15).astype(np.uint8).reshape(-1, 1, 8, 8)
SHADES = np.stack([GRAY[:, 0], GRAY[:, 0] // 2, 255 - GRAY[:, 0]], axis=1)
TO_FLOAT = v2.ToDtype(torch.float32, scale=True)
X = {
    "gray": GRAY,
    "rgb": SHADES,
    "unit": (SHADES / 255).astype(np.float32),
    "standard": ((SHADES / 255 - 0.5) / 0.25).astype(np.float32),
}


def fit(augment, kind="gray", method="fit", **params):
    params = {"module__width": 2, "max_epochs": 1, "random_state": 0} | params
    net = DistilledClassifier(SmallCNN, augment=augment, **params)
    return getattr(net, method)(X[kind], Y)


FIXED = {
    "scale": ("gray", TO_FLOAT),
    "usual": (
        "rgb",
        v2.Compose([v2.RandomRotation(5), TO_FLOAT, v2.Normalize([0.5], [0.5])]),
    ),
    "normalise": ("unit", v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])),
    "jitter": (
        "unit",
        v2.Compose([v2.ColorJitter(0.3, 0.3), v2.Normalize([0.5], [0.5])]),
    ),
    "divide": ("gray", lambda x: x / 255),
    "halve": ("unit", lambda x: x / 2),
    "center": ("unit", lambda x: x - x.mean()),
    "root": ("unit", torch.sqrt),
    "bgr": ("rgb", lambda x: x.flip(1)),
    # torchvision's own limits floats to 0..1.
    "clip": ("gray", v2.Compose([v2.ToDtype(torch.float32), v2.ColorJitter(0.5)])),
    "clip normalised": ("standard", v2.ColorJitter(0.5, 0.5)),
}


@pytest.mark.parametrize("name", FIXED)
def test_a_fixed_step_is_refused(name):
    kind, augment = FIXED[name]
    with pytest.raises(ValueError, match=r"not applied in predict\. Standardize"):
        fit(augment, kind)


def test_the_ranges_are_told_and_the_remedy_works():
    tail = [TO_FLOAT, v2.Normalize([0.5], [0.5])]
    with pytest.raises(ValueError, match=r"scale of the rows \(0\.\.240 to -1\.\.0\.8"):
        fit(v2.Compose([v2.RandomRotation(5), *tail]))
    fit(v2.RandomRotation(5))  # SmallCNN standardises


RANDOM = {
    "rotate": v2.RandomRotation(20, fill=255),
    "jitter": v2.ColorJitter(0.5, 0.5, 0.5, 0.1),
    "erase": v2.RandomErasing(p=1.0),
    "zoom": v2.RandomAffine(20, (0.2, 0.2), (0.4, 0.8)),
    "blur": v2.GaussianBlur(3),
    "invert": v2.RandomInvert(0.5),
    "equalize": v2.RandomEqualize(0.5),
    "channels": v2.RandomChannelPermutation(),
    "noise": lambda x: x + torch.randn(x.shape) * x.float().std() / 3,
    "mask": lambda x: x * (torch.rand(x.shape) < 0.7),
    "bright": lambda x: x * torch.empty(()).uniform_(0.5, 1.5),
    "own": Compose([RandomErasing(), ColorJitter(0.8, 0.8)]),
    "mixup": Mixup(),
    "flip": lambda x: x.flip(3),
}


@pytest.mark.parametrize("kind", ["rgb", "unit", "standard"])
@pytest.mark.parametrize("name", RANDOM)
def test_a_random_change_is_silent(name, kind):
    if kind == "standard" and name in ("jitter", "invert", "equalize", "own"):
        pytest.skip("these take floats of 0 to 1")
    fit(RANDOM[name], kind)


def test_another_shape_is_told():
    with pytest.warns(
        DistillationWarning, match=r"of shape \(1, 6, 6\) of \(1, 8, 8\)"
    ):
        fit(v2.RandomCrop(6))


def test_what_is_not_a_number():
    with pytest.raises(ValueError, match=r"augment= makes NaN or infinity"):
        fit(torch.log, "unit")


class OwnStream(nn.Module):
    """Noise from a generator of its own."""

    def __init__(self):
        super().__init__()
        self.rng = np.random.RandomState(0)

    def forward(self, x):
        return x + torch.as_tensor(self.rng.normal(size=x.shape) * 0.1, dtype=x.dtype)


def test_the_look_leaves_random_streams_as_they_were():
    augment, other = OwnStream(), OwnStream()
    fit(augment, "unit", "partial_fit", batch_size=-1)
    other(torch.as_tensor(X["unit"]))  # the one batch
    assert augment.rng.normal() == other.rng.normal()
    plain = fit(None, "unit")
    same = fit(lambda x: x, "unit")
    pairs = zip(plain.module_.parameters(), same.module_.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize(
    ("augment", "message"),
    [
        (v2.MixUp(num_classes=10), r"augment= raises .*pass Mixup\(\) of skkd\.augm"),
        (lambda x: x[:-1], "returns 31 rows of 32"),
        (lambda x: torch.cat([x, x.flip(3)]), "returns 64 rows of 32"),
        (lambda x: None, "returns a NoneType"),
        (lambda x: (x, x), "returns a tuple"),
    ],
)
def test_what_is_no_view_of_a_batch(augment, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(augment)
