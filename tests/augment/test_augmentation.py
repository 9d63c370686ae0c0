"""What a view depends on, what it leaves alone, and copies of augmentations."""

import pickle
import random

import numpy as np
import pytest
import torch
from augment_cases import (
    DEVICES,
    DTYPES,
    MIXING,
    ROWWISE,
    images,
    numbers,
    same,
)
from helpers import stable_repr
from sklearn.base import clone

from skkd import DistilledClassifier
from skkd.augment import (
    ColorJitter,
    Compose,
    Mixup,
    RandomAffine,
    RandomCrop,
    RandomErasing,
    RandomHorizontalFlip,
)
from skkd.memory._fingerprint import fingerprint
from skkd.students import MLP


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("augment", ROWWISE, ids=stable_repr)
def test_a_view_depends_on_its_row_and_seed_alone(augment, dtype, device):
    x, seeds = images(dtype=dtype), numbers()
    views = augment(x, seeds)
    assert not torch.equal(views, x)
    order = np.random.default_rng(2).permutation(len(x))
    moved = x.to(device)
    assert same(augment(moved[order], seeds[order]), views[order])
    assert same(augment(moved, torch.from_numpy(seeds).to(device)), views)
    for i in (0, 7, 31):
        assert same(augment(moved[i : i + 1], seeds[i : i + 1]), views[i : i + 1])
    assert not torch.equal(augment(x, seeds + 1), views)


@pytest.mark.parametrize("layout", ["channels_last", "a slice", "expanded"])
@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_the_layout_in_memory_does_not_matter(augment, layout):
    x, seeds = images(dtype=torch.float32), numbers()
    other = {
        "channels_last": x.to(memory_format=torch.channels_last),
        "a slice": torch.stack([x, x], dim=4)[..., 0],
        "expanded": x[:, :1].expand_as(x),
    }[layout]
    assert same(augment(other, seeds), augment(other.clone().contiguous(), seeds))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_shape_and_dtype_are_kept_and_the_input_too(augment, dtype):
    x = images(dtype=dtype)
    if "ColorJitter" in repr(augment) and dtype == torch.bool:
        with pytest.raises(ValueError, match=r"3 channels and torch.bool; expected 1"):
            augment(x)
        return
    before, version = x.clone(), x._version
    view = augment(x, numbers())
    assert (view.shape, view.dtype, view.device) == (x.shape, dtype, x.device)
    assert torch.equal(x, before)
    assert x._version == version
    view.zero_()
    assert torch.equal(x, before)


@pytest.mark.parametrize(
    "augment",
    [RandomHorizontalFlip(p=0), RandomCrop(max_shift=0), RandomErasing(p=0)],
    ids=stable_repr,
)
def test_a_view_is_new_where_nothing_changes(augment):
    x = images()
    view = augment(x)
    assert torch.equal(view, x)
    assert view.untyped_storage().data_ptr() != x.untyped_storage().data_ptr()


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_an_empty_batch(augment):
    assert augment(images(0)).shape == (0, 3, 8, 10)


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_seeds_leave_the_global_generators_alone(augment):
    def states():
        return (
            random.getstate(),
            [np.array(part).tolist() for part in np.random.get_state()],
            torch.get_rng_state().tolist(),
        )

    before = states()
    augment(images(), numbers())
    assert states() == before


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_without_seeds_torch_draws_them(augment):
    x = images()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        first, second = augment(x), augment(x)
        torch.manual_seed(3)
        assert torch.equal(augment(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.uint64, list, "tensor"])
def test_seeds_of_any_integer_type(dtype):
    x, seeds = images(), np.arange(32)
    expected = ROWWISE[3](x, seeds)
    if dtype == "tensor":
        given = torch.from_numpy(seeds)
    else:
        given = seeds.tolist() if dtype is list else seeds.astype(dtype)
    assert torch.equal(ROWWISE[3](x, given), expected)


@pytest.mark.parametrize("augment", [*ROWWISE, *MIXING], ids=stable_repr)
def test_copies_make_the_same_views(augment):
    x, seeds = images(), numbers()
    for twin in (clone(augment), pickle.loads(pickle.dumps(augment))):
        assert twin is not augment
        assert repr(twin) == repr(augment)
        assert torch.equal(twin(x, seeds), augment(x, seeds))


def test_parameters():
    assert RandomHorizontalFlip().get_params() == {"p": 0.5}
    assert RandomCrop().get_params() == {"max_shift": 4, "fill": 0}
    assert RandomErasing().get_params() == {"size": 8, "fill": 0, "p": 1.0}
    assert Mixup().get_params() == {"alpha": 1.0}
    assert RandomAffine(degrees=9).get_params() == {
        **{"degrees": 9, "scale": 0, "translate": 0, "shear": 0, "p": 1.0, "fill": 0}
    }
    steps = [RandomHorizontalFlip(), Mixup()]
    assert Compose(steps).get_params()["steps"] is steps
    assert ColorJitter().get_params() == {
        **{"brightness": 0.2, "contrast": 0.2, "saturation": 0, "white": None}
    }
    assert RandomHorizontalFlip().set_params(p=1).p == 1
    assert (
        repr(Compose([RandomHorizontalFlip(p=0.1)]))
        == "Compose(steps=[RandomHorizontalFlip(p=0.1)])"
    )
    # Parameters are checked by check, not by the constructor.
    assert RandomHorizontalFlip(p="often").p == "often"


@pytest.mark.parametrize("views", [{}, {"n_views": 2}, {"teacher_view": "clean"}])
# The teacher only has to give some logits.
@pytest.mark.filterwarnings(r"ignore:\[constant-output\]:skkd.TeacherWarning")
def test_a_student_is_trained_on_views(views):
    x, y = images(24, (1, 8, 8)).numpy(), np.arange(24) % 2
    student = DistilledClassifier(
        teacher=lambda X: np.zeros((len(X), 2)),
        augment=Compose(
            [
                RandomHorizontalFlip(),
                RandomCrop(max_shift=1),
                RandomAffine(9),
                ColorJitter(),
            ]
        ),
        **views,
        max_epochs=2,
        random_state=0,
        memory=False,
    )
    first = student.fit(x, y).predict_proba(x)
    np.testing.assert_array_equal(clone(student).fit(x, y).predict_proba(x), first)


@pytest.mark.parametrize(
    ("augment", "other"),
    [
        (RandomAffine(9), RandomAffine(8)),
        (RandomAffine(9), RandomAffine(9, fill="border")),
        (ColorJitter(0.1), ColorJitter(0.2)),
    ],
    ids=stable_repr,
)
def test_logits_of_views_are_cached_by_augmentation(augment, other):
    assert fingerprint(clone(augment)) == fingerprint(augment) != fingerprint(other)
    x, y = images(24, (3, 8, 8)).numpy(), np.arange(24) % 2
    torch.manual_seed(0)
    teacher = MLP(2, (3, 8, 8)).eval()
    student = DistilledClassifier(
        MLP, module__hidden=4, teacher=teacher, augment=augment, n_views=2, max_epochs=1
    )
    assert student.fit(x, y).cache_info_.misses == 48
    assert clone(student).fit(x, y).cache_info_.hits == 48
    assert clone(student).set_params(augment=other).fit(x, y).cache_info_.hits == 0
