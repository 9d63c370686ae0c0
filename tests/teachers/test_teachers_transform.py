"""Teachers with a transform get transformed batches, and nothing else changes."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from joblib.externals.loky.backend import reduction
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2
from transform_cases import (
    CLASSES,
    IMAGES,
    IRIS,
    LOG,
    SPECIES,
    Pixels,
    Seen,
    Shift,
    Small,
    by_hand,
    digits,
    halved,
    rng_state,
    small_student,
    state_of,
    student,
    taught,
    to_teacher,
    y,
)

from skkd import ImageReader
from skkd.augment import Mixup, RandomHorizontalFlip
from skkd.teachers import as_teacher

# Teachers in here are asked about rows of their own; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes)\]:skkd.TeacherWarning"
)


@pytest.fixture(autouse=True)
def _empty_log():
    LOG.clear()


@pytest.mark.parametrize("way", ["as_teacher", "parameter", "frozen"])
def test_a_module_of_larger_images(way):
    teacher, transform = Seen(), to_teacher()
    before, rng = state_of(teacher), rng_state()
    if way == "parameter":
        got, _ = taught(teacher, teacher_transform=transform)
    elif way == "frozen":
        got, _ = taught(FrozenEstimator(as_teacher(teacher, transform=transform)))
    else:
        got, _ = taught(as_teacher(teacher, transform=transform))
    assert_allclose(got, by_hand(teacher), rtol=1e-4, atol=1e-5)
    assert {(shape[1:], dtype, mode) for shape, dtype, mode in LOG} == {
        ((1, 12, 12), torch.float32, False)
    }
    assert state_of(teacher) == before
    assert rng_state() == rng


def test_the_preset_of_torchvisions_weights():
    preset = ResNet18_Weights.DEFAULT.transforms()
    photos = np.random.default_rng(0).integers(0, 256, (5, 3, 40, 30), dtype=np.uint8)
    teacher = Seen(n_in=3 * 224 * 224, n_out=5)
    got = as_teacher(teacher, transform=preset).logits(photos, np.arange(5))
    alone = [preset(Image.fromarray(photo.transpose(1, 2, 0))) for photo in photos]
    with torch.no_grad():
        expected = teacher.eval()(torch.stack(alone)).numpy()
    # torchvision resizes tensors and PIL's images almost, but not quite, alike.
    assert np.corrcoef(got.ravel(), expected.ravel())[0, 1] > 0.999
    student_of = small_student(teacher, teacher_transform=preset)
    student_of.fit(photos, [0, 1, 2, 3, 4])
    assert student_of.cache_info_.misses == 5
    assert student_of.fit(photos, [0, 1, 2, 3, 4]).cache_info_.hits == 5


@pytest.mark.parametrize("rows", [200, 1, 64, 65])
def test_images_are_never_all_transformed_at_once(rows):
    sizes, inner = [], to_teacher()

    def transform(x):
        sizes.append(len(x))
        return inner(x)

    teacher = as_teacher(Seen(), transform=transform)
    got = teacher.logits(IMAGES[:rows], CLASSES)
    assert max(sizes) <= 64
    assert sum(sizes) == rows
    expected = by_hand(teacher.teacher.model, IMAGES[:rows])
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_arrays_for_what_is_no_module():
    x = to_teacher()(torch.from_numpy(IMAGES.copy())).numpy()
    flat = x.reshape(len(x), -1)
    pipeline = make_pipeline(
        FunctionTransformer(lambda a: a.reshape(len(a), -1)), StandardScaler()
    )
    # Regularised: a probability near the clip has no digits to compare.
    pipeline = make_pipeline(pipeline, LogisticRegression(C=0.01)).fit(x, y)
    eps = np.finfo(np.float32).eps

    def function(rows):
        LOG.append((type(rows), rows.dtype, rows.shape[1:]))
        return rows.reshape(len(rows), -1)[:, :10]

    net = NeuralNetClassifier(
        Seen(), criterion=nn.CrossEntropyLoss, train_split=None, verbose=0, max_epochs=1
    ).fit(x, y)
    expected = {
        pipeline: np.log(np.clip(pipeline.predict_proba(x), eps, None)),
        function: flat[:, :10],
        net: by_hand(net.module_),
    }
    for teacher, logits in expected.items():
        got = as_teacher(teacher, transform=to_teacher()).logits(IMAGES, CLASSES)
        assert_allclose(got, logits, rtol=1e-3, atol=1e-4)
    LOG.clear()
    as_teacher(Pixels(), transform=to_teacher()).logits(IMAGES, CLASSES)
    as_teacher(function, transform=to_teacher()).logits(IMAGES, CLASSES)
    assert {*LOG} == {(np.ndarray, np.dtype(np.float32), (1, 12, 12))}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    transform = v2.Compose([to_teacher(), v2.ToDtype(dtype)])
    module = Seen()
    got = as_teacher(module, transform=transform).logits(IMAGES, CLASSES)
    assert_allclose(got, by_hand(module), atol=0.05)
    as_teacher(Pixels(), transform=transform).logits(IMAGES, CLASSES)


FORMS = {
    "array": lambda X: X,
    "float32": lambda X: X.astype(np.float32),
    "fortran": np.asfortranarray,
    "reversed": lambda X: X[::-1].copy()[::-1],
    "read-only": lambda X: np.frombuffer(X.tobytes(), X.dtype).reshape(X.shape),
    "tensor": torch.from_numpy,
    "list": lambda X: X.tolist(),
    "frame": lambda X: pd.DataFrame(X, columns=[*"abcd"]),
    "dataset": lambda X: torch.utils.data.TensorDataset(
        torch.from_numpy(X), torch.from_numpy(SPECIES)
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_rows_and_none_is_changed(form):
    bayes = GaussianNB().fit((IRIS - IRIS.mean(0)) / 2, SPECIES)
    rows = FORMS[form](IRIS.copy())
    mean = torch.from_numpy(IRIS.mean(0))

    def in_place(rows):
        return rows.sub_(mean).div_(2.0)

    got = as_teacher(bayes, transform=in_place).logits(rows, [0, 1, 2])
    p = bayes.predict_proba((IRIS - IRIS.mean(0)) / 2)
    assert_allclose(np.exp(got), p, rtol=1e-2, atol=1e-5)
    again = rows.tensors[0] if form == "dataset" else rows
    assert_allclose(np.asarray(again), IRIS, rtol=1e-6)


def test_lazy_images(tmp_path):
    paths = [str(tmp_path / f"{i}.png") for i in range(24)]
    for path, image in zip(paths, IMAGES, strict=False):
        Image.fromarray(image[0]).save(path)
    reader = ImageReader(size=8, mode="L", lazy=True)
    teacher = Seen()
    est = student(teacher, teacher_transform=to_teacher(), module=Small)
    pipe = make_pipeline(reader, est).fit(paths, y[:24])
    assert pipe[-1].cache_info_.misses == 24
    said = as_teacher(teacher, transform=to_teacher())
    got = said.logits(reader.transform(paths), CLASSES)
    assert_allclose(got, by_hand(teacher, IMAGES[:24]), rtol=1e-4, atol=1e-5)


def test_rows_of_its_own_are_transformed():
    bayes = GaussianNB().fit(IRIS / 2, SPECIES)
    est = small_student(bayes, teacher_transform=halved, memory=False)
    seen = []
    est.set_params(distillation=lambda s, t, y, T: (seen.append(t), s.sum(dim=1))[1])
    est.set_params(batch_size=-1, iterator_train__shuffle=False)
    est.fit(IRIS[:, :2], SPECIES, teacher_X=IRIS)
    expected = bayes.predict_proba(IRIS / 2)
    assert_allclose(np.exp(seen[0].numpy()), expected, rtol=1e-4, atol=1e-6)


# --- With other parts -----------------------------------------------------------------


@pytest.mark.parametrize("views", [None, 2])
def test_the_augmented_view_is_transformed(views):
    teacher, flip = Seen(), RandomHorizontalFlip(p=1.0)
    params = {"augment": flip, "n_views": views, "teacher_transform": to_teacher()}
    got, _ = taught(teacher, IMAGES, **params)
    expected = by_hand(teacher, IMAGES[..., ::-1])
    assert_allclose(got, expected, rtol=1e-4, atol=1e-5)
    assert not np.allclose(got, by_hand(teacher), atol=0.1)


def test_mixed_rows_are_transformed():
    est = small_student(Seen(), augment=Mixup(), teacher_transform=to_teacher())
    floats = IMAGES.astype(np.float32)
    est.fit(floats, y)
    assert LOG
    assert {shape[1:] for shape, *_ in LOG} == {(1, 12, 12)}


@pytest.mark.filterwarnings("ignore:.one-sided")  # of untrained ones
def test_one_transform_for_a_list_and_one_for_a_member():
    one, two = Seen(), Seen(n_in=256)
    two.linear.weight.data *= 3
    small, large = to_teacher(12), to_teacher(16)
    both = as_teacher(
        [as_teacher(one, transform=small), as_teacher(two, transform=large)],
        weights=[1, 3],
        temperatures=[1, 2],
        average="logits",
    )
    z = by_hand(one), by_hand(two, transform=large)
    got, _ = taught(both)
    assert_allclose(got, (z[0] + 3 * z[1] / 2) / 4, rtol=1e-4, atol=1e-5)
    twice = as_teacher([one, one], transform=small)
    by_list, _ = taught([one, one], teacher_transform=small)
    alone = as_teacher(one, transform=small).logits(IMAGES, CLASSES)
    normed = alone - torch.logsumexp(torch.tensor(alone), 1, keepdim=True).numpy()
    assert_allclose(by_list, normed, rtol=1e-4, atol=1e-5)
    assert_allclose(twice.logits(IMAGES, CLASSES), normed, rtol=1e-4, atol=1e-5)


def test_options_go_to_the_teacher_inside():
    names = np.array(["b", "a", "c"])
    teacher = as_teacher(
        lambda rows: rows[:, :3], classes=names, output="proba", transform=halved
    )
    X = np.array([[0.2, 0.6, 1.2, 5.0]])
    assert_allclose(np.exp(teacher.logits(X, ["a", "b", "c"])), [[0.3, 0.1, 0.6]])
    assert_array_equal(teacher.classes_, names)
    with pytest.raises(ValueError, match="does not know the classes"):
        teacher.check(["a", "d"])
    again = as_teacher(as_teacher(GaussianNB()), transform=halved)
    assert repr(again) == "as_teacher(GaussianNB, transform=halved)"
    assert again.n_parameters is None
    network = as_teacher(Seen(), transform=to_teacher())
    assert network.n_parameters == 10 * 145 + 20
    assert isinstance(network.teacher.model, Seen)
    assert network.transform.transforms[0].size == [12]


def test_the_options_of_the_teacher_inside_are_its_own():
    options = {"classes": [0, 1, 2], "output": "proba", "extra_classes": "drop"}
    inner = as_teacher(lambda rows: rows[:, :3], **options)
    wrapped = as_teacher(inner, transform=halved)
    for name, value in options.items():
        assert getattr(wrapped, name) == value


def test_clones_grids_and_pickles():
    teacher, transform = Seen(), to_teacher()
    est = small_student(teacher, teacher_transform=transform)
    assert est.get_params()["teacher_transform"] is transform
    twin = clone(clone(est))
    assert twin.teacher is teacher
    twin.fit(IMAGES, y)
    values = [to_teacher(), v2.Compose([to_teacher(), v2.GaussianBlur(3, 1.0)])]
    grid = {"teacher_transform": values, "alpha": [0.5, 1]}
    LOG.clear()
    search = GridSearchCV(est, grid, cv=2, error_score="raise").fit(IMAGES, y)
    # One pass for the other transform: the first is known, whatever clones made of it.
    asked = sum(shape[0] for shape, *_ in LOG)
    assert asked == 2 * 128  # the rows of each fold, in whole batches
    assert type(search.best_estimator_.teacher_transform) is v2.Compose
    back = pickle.loads(pickle.dumps(est.fit(IMAGES, y)))
    assert_array_equal(back.predict_proba(IMAGES), est.predict_proba(IMAGES))
    back.fit(IMAGES, y)
    assert back.cache_info_.misses == 0
    wrapped = as_teacher(teacher, transform=transform)
    assert clone(wrapped) is wrapped
    copy = pickle.loads(pickle.dumps(wrapped))
    assert_array_equal(copy.logits(IMAGES, CLASSES), wrapped.logits(IMAGES, CLASSES))


def test_it_goes_to_other_processes():
    teacher = Seen()
    for transform in (to_teacher(), lambda rows: to_teacher()(rows)):
        est = small_student(teacher, teacher_transform=transform).fit(IMAGES, y)
        # As scikit-learn's workers are sent it.
        there = pickle.loads(reduction.dumps(est))
        assert there.teacher is teacher
        assert_array_equal(there.fit(IMAGES, y).predict(IMAGES), est.predict(IMAGES))


def test_parameters_of_the_transform_are_searched():
    bayes = GaussianNB().fit(IRIS, SPECIES)
    shift = Shift()
    est = small_student(bayes, teacher_transform=shift)
    grid = GridSearchCV(est, {"teacher_transform__by": [0.0, 9.0]}, cv=2, refit=False)
    grid.fit(IRIS, SPECIES)
    assert shift.by == 0.0
    assert est.fit(IRIS, SPECIES).cache_info_.misses == 0
    est.set_params(teacher_transform__by=2.5).fit(IRIS, SPECIES)
    assert est.cache_info_.misses > 140


def test_set_on_a_fitted_net():
    est = small_student(Seen()).set_params(teacher_transform=to_teacher())
    est.fit(IMAGES, y)
    before = est.predict_proba(IMAGES)
    module = to_teacher(12)
    est.set_params(teacher_transform=module)
    assert est.teacher_transform is module
    assert "teacher_transform" not in est._modules
    assert_array_equal(est.fit(IMAGES, y).predict_proba(IMAGES), before)
    est.set_params(teacher_transform=None)
    with pytest.raises(ValueError, match="does not take X"):
        est.fit(IMAGES, y)
    assert "Compose" in repr(small_student(teacher_transform=module))


def test_a_student_keeps_neither_teacher_nor_transform_after_trimming():
    est = small_student(Seen(), teacher_transform=to_teacher()).fit(IMAGES, y)
    est.trim_for_prediction()
    assert est.teacher is None
    assert est.teacher_transform is None
    est.predict(IMAGES)


@pytest.mark.filterwarnings("ignore:.one-sided")  # of untrained ones
def test_a_taught_student_is_the_same_teacher_whoever_taught_it():
    est = small_student(Seen(), teacher_transform=to_teacher()).fit(IMAGES, y)
    first = student(est, module=Small).fit(IMAGES, y)
    est.set_params(teacher_transform=to_teacher(20))
    assert (first.cache_info_.misses, first.fit(IMAGES, y).cache_info_[0]) == (
        len(np.unique(digits, axis=0)),
        0,
    )
