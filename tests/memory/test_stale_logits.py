"""Whatever changes, of a teacher, its rows or their views: never a stale logit."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from counted_teachers import (
    DISTINCT,
    Counted,
    CountedNB,
    CountedObject,
    X,
    asked,
    fresh,
    nb,
    skorch_net,
    student,
    taught,
    y,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import EpochScoring

from skkd import DistilledClassifier
from skkd.augment import RandomCrop, RandomHorizontalFlip
from skkd.memory import LogitMemory
from skkd.students import MLP
from skkd.teachers import as_teacher

# Teachers in here are asked, counted and remembered; none has to be right.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(train-mode|constant-output|saturated|random-head|chance-level|permuted-classes|not-probabilities|one-sided)\]:skkd.TeacherWarning"
)


# --- Never a stale row --------------------------------------------------------------


def double_output(module, args, output):
    return 2 * output


def redefined(net, sign):
    """Give `net` a class of the same name with other code."""
    space = {"Counted": Counted, "__name__": "notebook"}
    exec(
        "class Net(Counted):\n"
        "    def forward(self, x):\n"
        f"        return {sign}super(Net, self).forward(x)",
        space,
    )
    net.__class__ = space["Net"]
    return net


CHANGES = {
    "weight": (Counted, lambda t: t.linear.weight.data.mul_(2)),
    "weight-bit": (
        Counted,
        lambda t: t.linear.bias.data.view(torch.int32)[0].bitwise_xor_(1 << 22),
    ),
    "buffer": (Counted, lambda t: t.normed.running_mean.add_(1)),
    "plain-tensor": (Counted, lambda t: t.plain.mul_(2)),
    "attribute": (Counted, lambda t: setattr(t, "scale", 3.0)),
    "hook": (Counted, lambda t: t.register_forward_hook(double_output)),
    "class": (lambda: redefined(Counted(), ""), lambda t: redefined(t, "-")),
    "skorch": (skorch_net, lambda t: t.module_.linear.weight.data.mul_(2)),
    "sklearn-refit": (nb, lambda t: t.fit(X + y[:, None], y)),
    "pipeline-refit": (
        lambda: make_pipeline(StandardScaler(), CountedNB()).fit(X, y),
        lambda t: t[0].fit(X * 2),
    ),
    "list": (lambda: [nb(), Counted()], lambda t: t[1].linear.weight.data.mul_(2)),
    "weights": (
        lambda: as_teacher([nb(), Counted()], weights=[1, 1]),
        lambda t: t.weights.__setitem__(0, 0.9),
    ),
    "average": (
        lambda: as_teacher([nb(), Counted()]),
        lambda t: setattr(t, "average", "logits"),
    ),
    "classes": (
        lambda: as_teacher(Counted(), classes=[0, 1, 2]),
        lambda t: setattr(t, "classes", [2, 1, 0]),
    ),
    "output": (
        lambda: as_teacher(LogisticRegression(max_iter=500).fit(X, y), output="logits"),
        lambda t: setattr(t, "output", "proba"),
    ),
    "object": (CountedObject, lambda t: setattr(t, "scale", 2.0)),
}


@pytest.mark.parametrize("kind", CHANGES)
def test_a_teacher_that_changes_is_asked_again(kind, place):
    make, change = CHANGES[kind]
    teacher = make()
    est = student(teacher, memory=place)
    before = fresh(teacher)
    got, first = taught(teacher, memory=place)
    assert_array_equal(got, before)
    assert first.misses == DISTINCT
    # Temperature, alpha, seed and student are none of its business.
    est.set_params(temperature=1, alpha=0.9, lr=0.1, random_state=1)
    assert est.fit(X, y).cache_info_.misses == 0
    if kind != "class":  # pickle would not find it
        twin = pickle.loads(pickle.dumps(teacher))
        assert student(twin, memory=place).fit(X, y).cache_info_.misses == 0
    change(teacher)
    changed, second = taught(teacher, memory=place)
    assert second.misses == DISTINCT
    assert_array_equal(changed, fresh(teacher))
    assert (changed != before).any()


def test_what_changes_back_is_known_again(place):
    teacher = Counted()
    before, _ = taught(teacher, memory=place)
    teacher.linear.weight.data.mul_(2)
    taught(teacher, memory=place)
    teacher.linear.weight.data.div_(2)
    again, done = taught(teacher, memory=place)
    assert done.misses == 0
    assert_array_equal(again, before)


def test_a_teacher_that_goes_on_training(place):
    net = skorch_net().set_params(train_split=None, max_epochs=1)
    for _ in range(3):
        net.partial_fit(X.astype("f"), y)
        got, done = taught(net, memory=place)
        assert done.misses == DISTINCT
        assert_array_equal(got, fresh(net))


def test_classes_of_the_student_in_another_order(place):
    for order in ([0, 1, 2], [2, 0, 1], [0, 1, 2]):
        got, _ = taught(nb(), classes=order, memory=place)
        assert_array_equal(got, fresh(nb(), classes=order))
    names = np.array(["a", "b", "c"])
    teacher = CountedNB().fit(X, names[y])
    got, done = taught(teacher, X, names[y], memory=place)
    assert done.misses == DISTINCT
    assert_array_equal(got, fresh(teacher, X, names[y]))


def test_folds_that_lack_a_class(place):
    teacher = as_teacher(nb(), extra_classes="drop")
    for part in (y < 2, y > 0, y < 3):
        got, _ = taught(teacher, X[part], y[part], memory=place)
        assert_array_equal(got, fresh(teacher, X[part], y[part]))


def test_rows_of_its_own(place):
    for rows in (X, X[:, ::-1].copy(), -X, X.astype("f")):
        beside = {"teacher_X": rows}
        got, done = taught(nb(), X, y, beside, memory=place)
        assert done.misses == DISTINCT
        assert_array_equal(got, fresh(nb(), X, y, fit_params=beside))


def test_one_bit_of_one_row(place):
    rows = X.copy()
    taught(nb(), rows, memory=place)
    rows.view(np.int64)[7, 2] ^= 1 << 51
    got, done = taught(nb(), rows, memory=place)
    assert done.misses == 1
    assert_array_equal(got, fresh(nb(), rows))


def test_dtypes_of_rows(place):
    class Kind(CountedObject):
        def __call__(self, rows):
            rows = np.asarray(rows)
            signs = np.signbit(rows[:, :3].astype(float))
            return signs + float(rows.dtype.num)

    zero = np.zeros((6, 4))
    labels = [0, 1, 2] * 2
    for rows in (zero, -zero, zero.astype("f"), zero.astype("u1"), zero.astype("i1")):
        got, done = taught(Kind(), rows, labels, memory=place)
        assert done.misses == 1
        assert_array_equal(got, fresh(Kind(), rows, labels))


FRAME = pd.DataFrame(X, columns=[*"abcd"])


def test_names_of_columns_that_change_places(place):
    teacher = make_pipeline(
        make_column_transformer(("passthrough", ["c", "a"])), CountedNB()
    ).fit(FRAME, y)
    renamed = FRAME.set_axis([*"cbad"], axis=1)
    for rows in (FRAME, renamed):
        got, _ = taught(teacher, rows, memory=place)
        assert_array_equal(got, fresh(teacher, rows))


def test_the_teacher_and_all_random_states_are_left_alone(place):
    teacher = Counted()
    teacher.normed.eval()
    before = pickle.dumps(teacher), copy.deepcopy(teacher.state_dict())
    modes = [part.training for part in teacher.modules()]
    states = torch.get_rng_state(), np.random.get_state()[1].copy()
    for one in (place, LogitMemory(place, verify=5), LogitMemory(place, top_k=2)):
        student(teacher, memory=one).fit(X, y)
        student(teacher, memory=one).fit(X, y)
    assert pickle.dumps(teacher) == before[0]
    for name, value in teacher.state_dict().items():
        assert torch.equal(value, before[1][name])
    assert [part.training for part in teacher.modules()] == modes
    assert torch.equal(torch.get_rng_state(), states[0])
    assert_array_equal(np.random.get_state()[1], states[1])


def test_students_are_the_same_bit_for_bit(place):
    # Rows that are remembered draw no random numbers that others would have drawn.
    plain = student(Counted(), memory=False, max_epochs=3).fit(X, y).predict_proba(X)
    for m in (place, place, LogitMemory(place, verify=3)):
        est = student(Counted(), memory=m, max_epochs=3).fit(X, y)
        assert_allclose(est.predict_proba(X), plain, rtol=1e-5)
    again = student(Counted(), memory=place, max_epochs=3).fit(X, y)
    assert_array_equal(again.predict_proba(X), est.predict_proba(X))


# --- Views --------------------------------------------------------------------------

IMAGES = np.random.default_rng(0).integers(0, 255, (30, 1, 4, 4), dtype=np.uint8)
LABELS = np.arange(30) % 3


class Sees(Counted):
    def __init__(self):
        super().__init__(n_in=16)


def test_views_are_asked_about_once(place):
    def fit(augment, n_views=2, rows=IMAGES, labels=LABELS, teacher=None):
        est = student(
            Sees() if teacher is None else teacher,
            **{"augment": augment, "n_views": n_views, "memory": place},
        )
        count = asked(lambda: est.fit(rows, labels))
        assert count == est.cache_info_.misses
        assert count + est.cache_info_.hits == n_views * len(rows)
        return count

    crop = RandomCrop(1)
    assert fit(crop) == 60
    assert fit(crop) == 0
    assert fit(clone(crop)) == 0
    assert fit(crop, rows=IMAGES[::-2], labels=LABELS[::-2]) == 0
    assert fit(crop, n_views=3) == 30  # the first two are the same
    assert fit(RandomCrop(2)) == 60
    assert fit(RandomHorizontalFlip()) == 60
    changed = Sees()
    changed.linear.weight.data.mul_(2)
    assert fit(crop, teacher=changed) == 60


def test_a_view_is_not_the_row(place):
    est = student(Sees(), augment=RandomHorizontalFlip(p=1.0), n_views=1, memory=place)
    assert asked(lambda: est.fit(IMAGES, LABELS)) == 30
    assert asked(lambda: student(Sees(), memory=place).fit(IMAGES, LABELS)) == 30
    flipped = IMAGES[..., ::-1].copy()
    got, _ = taught(
        Sees(),
        IMAGES,
        LABELS,
        memory=place,
        augment=RandomHorizontalFlip(p=1.0),
        n_views=1,
    )
    assert_allclose(got, fresh(Sees(), flipped, LABELS), rtol=1e-5, atol=1e-5)


MADE_BY = {
    "callbacks__x__scoring": lambda net, X, y: 0.0,
    "optimizer__weight_decay": 0.1,
    "distillation__weight": lambda rows: rows,
    "iterator_train__collate_fn": lambda rows: rows,
}


@pytest.mark.parametrize("name", MADE_BY)
def test_parameters_of_what_made_a_net_are_not_its_content(name):
    callbacks = [("x", EpochScoring("accuracy", on_train=True))]
    middle = DistilledClassifier(MLP, max_epochs=0, callbacks=callbacks).fit(X, y)
    assert taught(middle)[1].misses == DISTINCT
    middle.set_params(**{name: MADE_BY[name]})
    _, done = taught(middle)
    assert (done.misses, done.hits, done.note) == (0, 150, "")


def test_a_taught_student_as_a_teacher(recwarn):
    """Its own teacher, and what it was used for since, are not its content."""
    own = DistilledClassifier(teacher=lambda rows: np.zeros((len(rows), 3)))
    middle = own.set_params(max_epochs=1, random_state=0).fit(X, y)
    small = DistilledClassifier(teacher=middle, max_epochs=1, module__hidden=2)
    assert small.fit(X, y).cache_info_.misses == 149  # two rows are equal
    middle.predict(X)
    assert small.fit(X, y).cache_info_.misses == 0
    middle.partial_fit(X, y)
    assert small.fit(X, y).cache_info_.misses == 149  # two rows are equal
