"""Teachers of other inputs: transformed a batch at a time, nothing else changed."""

import functools
import pickle
import random

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib.externals.loky.backend import reduction
from numpy.testing import assert_allclose, assert_array_equal
from PIL import Image
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_digits, load_iris
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn
from torchvision import transforms as v1
from torchvision.models import ResNet18_Weights
from torchvision.transforms import v2

from skkd import DistilledClassifier, ImageReader
from skkd.augment import Mixup, RandomHorizontalFlip
from skkd.memory import FingerprintError
from skkd.teachers import as_teacher

# Teachers in here are asked about rows of their own; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes)\]:skkd.TeacherWarning"
)

digits, y = load_digits(return_X_y=True)
digits, y = digits[:200].astype(np.uint8) * 15, y[:200]
IMAGES = digits.reshape(-1, 1, 8, 8)
CLASSES = np.arange(10)
LOG = []  # of what teachers were asked about
IRIS, SPECIES = load_iris(return_X_y=True)


def to_teacher(size=12):
    """Return the usual: larger, floats, normalised."""
    scaled = v2.ToDtype(torch.float32, scale=True)
    return v2.Compose([v2.Resize(size), scaled, v2.Normalize([0.3], [0.25])])


def halved(rows):
    return rows / 2


class Seen(nn.Module):
    """A network of images of 12 x 12 that writes down, outside, what it was given."""

    def __init__(self, n_in=144, n_out=10):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.linear = nn.Linear(n_in, n_out)
            self.normed = nn.BatchNorm1d(n_out)

    def forward(self, x):
        LOG.append((tuple(x.shape), x.dtype, self.training))
        return self.normed(self.linear(x.flatten(1)))


def by_hand(teacher, images=IMAGES, transform=None):
    """Return what `teacher` says of all images, transformed at once."""
    x = (transform or to_teacher())(torch.from_numpy(np.array(images)))
    with torch.no_grad():
        return (
            nn.functional.batch_norm(
                teacher.linear(x.flatten(1)),
                teacher.normed.running_mean,
                teacher.normed.running_var,
                teacher.normed.weight,
                teacher.normed.bias,
            )
        ).numpy()


def student(teacher=None, **params):
    params = {"max_epochs": 1, "random_state": 0, "device": "cpu", **params}
    if "module" not in params:
        params["module"] = nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double()
    return DistilledClassifier(teacher=teacher, **params)


def small_student(teacher=None, **params):
    return student(teacher, module=Small, **params)


class Small(nn.Module):
    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.linear = nn.Linear(int(np.prod(input_shape)), n_classes)

    def forward(self, x):
        return self.linear(x.float().flatten(1))


def taught(teacher, X=IMAGES, y=y, **params):
    """Return the teacher's logits as the loss sees them: (n, n_classes)."""
    seen = []

    def spy(student_logits, teacher_logits, y, temperature):
        seen.append(teacher_logits.numpy().copy())
        return student_logits.sum(dim=1)

    params = {"batch_size": -1, "iterator_train__shuffle": False, **params}
    est = small_student(teacher, distillation=spy, **params).fit(X, y)
    (logits,) = seen
    return logits, est


def state_of(module):
    tensors = {k: v.numpy().tobytes() for k, v in module.state_dict().items()}
    grads = [(p.requires_grad, p.grad) for p in module.parameters()]
    return tensors, [part.training for part in module.modules()], grads


@pytest.fixture(autouse=True)
def _empty_log():
    LOG.clear()


def rng_state():
    kind, keys, *rest = np.random.get_state()
    return random.getstate(), kind, keys.tolist(), rest, torch.get_rng_state().tolist()


# --- What the teacher is asked about --------------------------------------------------


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


class Pixels(BaseEstimator):
    """A classifier that wants arrays, and says which it got."""

    classes_ = CLASSES

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        LOG.append((type(X), X.dtype, X.shape[1:]))
        p = np.exp(X.reshape(len(X), -1)[:, 60:70])
        return p / p.sum(axis=1, keepdims=True)

    def __sklearn_is_fitted__(self):
        return True

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.estimator_type = "classifier"
        return tags


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
    assert asked == 200
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


class Shift(BaseEstimator):
    """A transform with a parameter to search."""

    def __init__(self, by=0.0):
        self.by = by

    def __call__(self, rows):
        return rows + self.by


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


def test_a_taught_student_is_the_same_teacher_whoever_taught_it():
    est = small_student(Seen(), teacher_transform=to_teacher()).fit(IMAGES, y)
    first = student(est, module=Small).fit(IMAGES, y)
    est.set_params(teacher_transform=to_teacher(20))
    assert (first.cache_info_.misses, first.fit(IMAGES, y).cache_info_[0]) == (
        len(np.unique(digits, axis=0)),
        0,
    )


# --- Memory ---------------------------------------------------------------------------


class Mean(nn.Module):
    """A transform with content: a buffer."""

    def __init__(self, mean):
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean))

    def forward(self, rows):
        return rows - self.mean


def computed(teacher, **params):
    return small_student(teacher, **params).fit(IRIS, SPECIES).cache_info_[0]


def test_the_transform_is_part_of_the_teachers_content(tmp_path):
    bayes = GaussianNB().fit(IRIS, SPECIES)
    every = computed(bayes, memory=tmp_path)
    assert every == 149  # two rows are equal
    mean = Mean([1.0, 2.0, 3.0, 0.0])
    assert computed(bayes, teacher_transform=mean, memory=tmp_path) == every
    # Known by content, however it is said.
    again = as_teacher(bayes, transform=Mean([1.0, 2.0, 3.0, 0.0]).eval())
    assert computed(again, memory=tmp_path) == 0
    other = Mean([1.0, 2.0, 3.0, 0.5])
    assert computed(bayes, teacher_transform=other, memory=tmp_path) == every
    mean.mean[0] = 7
    assert computed(bayes, teacher_transform=mean, memory=tmp_path) == every
    assert computed(bayes, memory=tmp_path) == 0


@pytest.mark.parametrize(
    "other", [to_teacher(13), v2.Compose(to_teacher().transforms[:2])]
)
def test_transforms_of_torchvision_are_known_by_content(other):
    def asked(transform):
        est = small_student(wide, teacher_transform=transform).fit(IMAGES, y)
        assert est.cache_info_.note == ""
        return est.cache_info_.misses

    wide = Pixels()
    every = asked(to_teacher())
    assert every == len(np.unique(digits, axis=0))
    assert asked(to_teacher()) == 0
    assert asked(other) == every
    assert asked(to_teacher()) == 0


def test_a_method_is_known_by_its_object():
    scaler = StandardScaler().fit(IRIS)
    bayes = GaussianNB().fit(scaler.transform(IRIS), SPECIES)
    assert computed(bayes, teacher_transform=scaler.transform) == 149
    assert computed(bayes, teacher_transform=scaler.transform) == 0
    other = StandardScaler().fit(IRIS[:50])
    assert computed(bayes, teacher_transform=other.transform) == 149


@pytest.mark.parametrize(
    "transform",
    [halved, lambda rows: rows / 2, functools.partial(torch.mul, other=0.5)],
    ids=["function", "lambda", "partial"],
)
def test_functions_are_asked_in_each_fit(transform, tmp_path):
    bayes = GaussianNB().fit(IRIS, SPECIES)
    est = small_student(bayes, teacher_transform=transform)
    for _ in range(2):
        taught = est.fit(IRIS, SPECIES).cache_info_
        assert taught.misses == 150
        assert "the transform of as_teacher(Gaus" in taught.note
    with pytest.raises(
        FingerprintError, match=r"GaussianNB, transform=.*is a function"
    ):
        est.set_params(memory=tmp_path).fit(IRIS, SPECIES)


FACTOR = 0.5


def scaled(rows):
    return rows * FACTOR


class Hooked(nn.Identity):
    def __init__(self, hook):
        super().__init__()
        self.register_forward_hook(hook)


class Applied:
    """A transform whose attributes are its content."""

    def __init__(self, function):
        self.function = function

    def __call__(self, rows):
        return self.function(rows)


@pytest.mark.parametrize(
    "transform",
    [
        v2.Lambda(scaled),
        v1.Lambda(scaled),
        v2.Lambda(lambda rows: rows * FACTOR),
        v2.Lambda(functools.partial(scaled)),
        v2.Compose([nn.Identity(), v2.Lambda(scaled)]),
        v1.Compose([v1.Compose([v1.Lambda(scaled)])]),
        nn.Sequential(v2.Lambda(scaled)),
        Hooked(lambda module, args, output: output * FACTOR),
        Applied(scaled),
    ],
)
def test_a_function_inside_is_asked_in_each_fit(transform, tmp_path, monkeypatch):
    bayes = GaussianNB().fit(IRIS, SPECIES)
    est = small_student(bayes, teacher_transform=transform)
    probabilities = []
    for factor in (0.5, 100.0):
        monkeypatch.setitem(globals(), "FACTOR", factor)
        taught = est.fit(IRIS, SPECIES).cache_info_
        assert (taught.misses, taught.hits) == (150, 0)
        assert "is a function" in taught.note
        probabilities.append(est.predict_proba(IRIS))
    assert (probabilities[0] != probabilities[1]).any()
    with pytest.raises(FingerprintError, match="inside of the transform"):
        est.set_params(memory=tmp_path).fit(IRIS, SPECIES)


def test_functions_of_releases_are_known_inside_of_a_transform():
    bayes = GaussianNB().fit(IRIS, SPECIES)
    for function in (nn.functional.relu, functools.partial(torch.mul, other=0.5)):
        assert computed(bayes, teacher_transform=Applied(function)) == 149
        assert computed(bayes, teacher_transform=Applied(function)) == 0


def test_functions_of_the_teacher_itself_are_known_by_their_code():
    inner = make_pipeline(FunctionTransformer(halved), GaussianNB())
    inner.fit(IRIS, SPECIES)
    for every in (149, 0):
        assert computed(inner, teacher_transform=Shift(0.25)) == every


def test_a_fingerprint_lasts_through_use():
    wrapped = as_teacher(Seen(), transform=ResNet18_Weights.DEFAULT.transforms())
    before = joblib.hash(pickle.dumps(wrapped.transform))
    wrapped.check_rows(np.zeros((2, 3, 9, 9), np.uint8))
    assert joblib.hash(pickle.dumps(wrapped.transform)) == before


# --- The transform is left as it is ---------------------------------------------------


class Normed(nn.Module):
    """A transform that would learn, and drop, in train mode."""

    def __init__(self):
        super().__init__()
        self.parts = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.5)).double()
        self.parts[1].eval()

    def forward(self, rows):
        assert not torch.is_grad_enabled()
        assert not any(part.training for part in self.modules())
        return self.parts(rows)


@pytest.mark.parametrize("inside", [None, v1.Compose, v2.Compose])
def test_a_module_is_run_in_eval_mode_and_put_back(inside):
    normed = Normed()
    transform = normed if inside is None else inside([normed])
    bayes = GaussianNB().fit(IRIS, SPECIES)
    before, rng = state_of(normed), rng_state()
    est = small_student(bayes, teacher_transform=transform).fit(IRIS, SPECIES)
    est.set_params(augment=torch.clone).fit(IRIS, SPECIES)
    assert state_of(normed) == before
    assert rng_state() == rng
    assert normed.training
    with pytest.raises(ValueError, match="transform of the teacher"):
        as_teacher(bayes, transform=transform).logits(IRIS[:, :3], [0, 1, 2])
    assert state_of(normed) == before


def test_random_numbers_that_a_transform_draws_are_given_back():
    def draws(rows):
        np.random.rand(3), random.random(), torch.rand(2)
        return rows

    bayes = GaussianNB().fit(IRIS, SPECIES)
    rng = rng_state()
    as_teacher(bayes, transform=draws).logits(IRIS, [0, 1, 2])
    assert rng_state() == rng
    quiet = small_student(bayes, max_epochs=2).fit(IRIS, SPECIES)
    noise = small_student(bayes, max_epochs=2, teacher_transform=draws)
    noise.fit(IRIS, SPECIES)
    assert_array_equal(quiet.predict_proba(IRIS), noise.predict_proba(IRIS))


# --- Mistakes -------------------------------------------------------------------------


def never_built(**kwargs):
    raise AssertionError("the student was built")


@pytest.mark.parametrize("augment", [None, torch.clone])
@pytest.mark.parametrize("nested", [False, True])
def test_a_transform_that_augments(augment, nested):
    flipped = v2.Compose([to_teacher(), v2.RandomErasing(p=1.0)])
    teacher = as_teacher(Seen(), transform=flipped)
    est = small_student([teacher] if nested else teacher, augment=augment)
    with pytest.raises(ValueError, match=r"transform of the teacher, Compose.*evalua"):
        est.fit(IMAGES, y)


def test_rows_with_missing_values_are_the_same_each_time():
    rows = IRIS.copy()
    rows[0] = np.nan
    as_teacher(Pixels(), transform=halved).check_rows(rows)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda rows: rows[:1], r"returns shape \(1, 1, 8, 8\) for 2 rows.*as many"),
        (lambda rows: rows.sum(), r"returns shape \(\) for 2 rows"),
        (lambda rows: [*rows], r"returns a list, expected a tensor of 2 rows"),
        (lambda rows: None, r"returns a NoneType"),
        (v2.Normalize([0.5], [0.5]), r"does not take rows.*a torch.uint8 tensor of"),
        (v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32)]), None),
    ],
)
def test_what_a_transform_does_wrong_is_said_to_be_its_own(transform, message):
    if message is None:  # an Image of torchvision is a tensor
        as_teacher(Seen(64), transform=transform).logits(IMAGES, CLASSES)
        return
    est = small_student(Seen(64), teacher_transform=transform)
    message = rf"^The transform of the teacher, .*{message}"
    with pytest.raises(ValueError, match=message):
        est.fit(IMAGES, y)
    with pytest.raises(ValueError, match=message):
        est.set_params(augment=torch.clone).fit(IMAGES, y)


@pytest.mark.parametrize("transform", [5, "resize", [torch.clone], v2.Resize])
def test_what_is_no_transform(transform):
    with pytest.raises(TypeError, match=r"transform of the teacher is .*: expected"):
        as_teacher(Seen(), transform=transform)
    est = student(Seen(), module=never_built, teacher_transform=transform)
    with pytest.raises(TypeError, match=r"transform of the teacher is .*: expected"):
        est.fit(IMAGES, y)


@pytest.mark.parametrize("teacher_cv", [None, 2])
def test_clones_are_fitted_without_a_transform(teacher_cv):
    params = {"teacher_cv": teacher_cv, "teacher_transform": halved}
    est = student(GaussianNB(), module=never_built, **params)
    with pytest.raises(ValueError, match=r"transform=halved.*cv=.*own Pipeline"):
        est.fit(IRIS, SPECIES)


def test_two_transforms():
    once = as_teacher(Seen(), transform=halved)
    for teacher in (once, [once, Seen()], [[once]], FrozenEstimator(once)):
        with pytest.raises(ValueError, match="has a transform already"):
            as_teacher(teacher, transform=to_teacher())
    est = student(once, module=never_built, teacher_transform=halved)
    with pytest.raises(ValueError, match="has a transform already"):
        est.fit(IMAGES, y)


@pytest.mark.parametrize(
    "rows",
    [
        ["a.png", "b.png"],
        {"a": np.zeros((2, 3))},
        pd.DataFrame({"a": ["x", "y"]}),
        [[1.0], [1.0, 2.0]],
    ],
    ids=["paths", "mapping", "strings", "ragged"],
)
def test_rows_that_are_no_numbers(rows):
    teacher = as_teacher(Pixels(), transform=halved)
    with pytest.raises(ValueError, match=r"takes arrays or tensors of numb.*teacher_X"):
        teacher.logits(rows, CLASSES)


def test_without_a_teacher_it_has_no_effect():
    alone = small_student().fit(IMAGES, y).predict_proba(IMAGES)
    est = small_student(teacher_transform=to_teacher()).fit(IMAGES, y)
    assert_array_equal(est.predict_proba(IMAGES), alone)
    logits = np.zeros((200, 10))
    est = small_student(Seen(), teacher_transform=to_teacher())
    est.fit(IMAGES, y, teacher_logits=logits)
    assert not LOG
    est.set_params(alpha=0).fit(IMAGES, y)
    assert not LOG
