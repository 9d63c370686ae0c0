"""gain(): what is trained, and what is refused."""

import inspect
import re

import numpy as np
import pytest
import torch
from gain_students import CV, NAMES, TEACHER, X, outcome, student, y
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback

from skkd import DistilledClassifier, ImageReader, load_image_folder
from skkd.augment import RandomHorizontalFlip
from skkd.callbacks import Anneal, WarmUp
from skkd.memory._fingerprint import fingerprint
from skkd.recipes import AssistantChain, BornAgain, DistilledEnsemble, MutualLearning
from skkd.report import gain
from skkd.report._gain import _jobs
from skkd.students import SmallCNN


def test_scores_are_those_of_fits_by_hand():
    result = gain(student(alpha=0.7), X, NAMES, seeds=[3, 1], cv=CV)
    assert result.plain.shape == result.distilled.shape == result.teacher.shape
    for i, seed in enumerate([3, 1]):
        for k, (train, test) in enumerate(CV.split(X, NAMES)):
            taught = student(alpha=0.7, random_state=seed).fit(X[train], NAMES[train])
            alone = student(alpha=0.0, teacher=None, random_state=seed)
            alone.set_params(teacher_cv="prefit").fit(X[train], NAMES[train])
            teacher = clone(TEACHER).fit(X[train], NAMES[train])
            assert result.distilled[i, k] == taught.score(X[test], NAMES[test])
            assert result.plain[i, k] == alone.score(X[test], NAMES[test])
            assert result.teacher[i, k] == teacher.score(X[test], NAMES[test])
            (said,) = [
                fit
                for fit in result.predictions
                if (fit.network, fit.seed, fit.fold) == ("distilled", seed, k)
            ]
            assert np.array_equal(said.y_pred, taught.predict(X[test]))
            assert np.array_equal(said.rows, test)
            assert np.array_equal(said.y_true, NAMES[test])
    assert result.gain == pytest.approx((result.distilled - result.plain).mean())
    assert result.n_parameters == {"plain": 35, "distilled": 35, "teacher": None}
    assert all(seconds.shape == (2, 2) for seconds in result.seconds.values())


@pytest.mark.parametrize("views", [None, 2])
def test_both_students_see_the_same(views):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 1, 8, 8)).astype(np.uint8)
    labels = np.arange(40) % 5
    net = DistilledClassifier(
        SmallCNN,
        module__width=4,
        teacher=SmallCNN(5, (1, 8, 8), width=8).eval(),
        alpha=1e-12,  # so that the teacher is asked, and makes no difference
        augment=RandomHorizontalFlip(),
        n_views=views,
        max_epochs=3,
        lr=0.05,
    )
    result = gain(net, images, labels, seeds=2, cv=2)
    plain, taught = (
        [fit.y_pred for fit in result.predictions if fit.network == network]
        for network in ("plain", "distilled")
    )
    assert np.array_equal(plain, taught)
    assert len({fit.tobytes() for fit in plain[::2]}) == 2  # the seeds differ


@pytest.mark.parametrize(
    "schedule",
    [
        Anneal("alpha", 0.9, 0.1),
        WarmUp("alpha", 2),
        Anneal("temperature", 4, 1),
        Anneal("distillation__beta", 8, 1),
    ],
)
def test_schedules_leave_the_plain_student_alone(schedule):
    net = student(alpha=0.9, distillation="dkd")
    split = [next(CV.split(X, y))]
    alone = gain(net, X, y, seeds=1, cv=split)
    net.set_params(callbacks=[("schedule", schedule)])
    result = gain(net, X, y, seeds=1, cv=split)
    assert np.array_equal(result.predictions[0].y_pred, alone.predictions[0].y_pred)


def test_a_fitted_teacher_stays_as_it_is(fits):
    class Strict(LogisticRegression):
        def fit(self, X, y, **kwargs):
            assert not hasattr(self, "coef_"), "fitted again"
            return super().fit(X, y, **kwargs)

    teacher = Strict(max_iter=500).fit(X[::2], NAMES[::2])
    before = fingerprint(teacher.__dict__)
    net = student(teacher=teacher, teacher_cv="prefit")
    split = [(np.arange(0, 150, 2), np.arange(1, 150, 2))]
    result = gain(net, X, NAMES, seeds=2, cv=split)
    assert fingerprint(teacher.__dict__) == before
    assert not net.initialized_ and net.random_state is None
    expected = teacher.score(X[1::2], NAMES[1::2])
    assert np.array_equal(result.teacher, [[expected], [expected]])
    assert fits == [(False, 75), (True, 75)] * 2


class Counting(LogisticRegression):
    def predict_proba(self, X):
        ASKED.append(len(X))
        return super().predict_proba(X)


ASKED = []


def test_a_fitted_teacher_is_asked_about_each_row_once():
    teacher = Counting(max_iter=500).fit(X, y)
    gain(student(teacher=teacher, teacher_cv="prefit"), X, y, seeds=3, cv=3)
    # Of copies of a row only about one.
    assert sum(ASKED) == len(np.unique(X, axis=0))


def test_of_several_teachers_the_mean_is_scored():
    split = [(np.arange(0, 150, 2), np.arange(1, 150, 2))]
    forest = RandomForestClassifier(5, max_depth=2, random_state=0)
    net = student(teacher=forest, teacher_cv=3)
    result = gain(net, X, NAMES, seeds=1, cv=split)
    members = student(teacher=forest, teacher_cv=3, random_state=0)
    members = members.fit(X[::2], NAMES[::2]).teacher_
    mean = np.mean([member.predict_proba(X[1::2]) for member in members], axis=0)
    said = members[0].classes_[mean.argmax(axis=1)]
    assert result.teacher[0, 0] == accuracy_score(NAMES[1::2], said)


class Counted(TransformerMixin, BaseEstimator):
    fitted = 0

    def fit(self, X, y=None):
        type(self).fitted += 1
        self.mean_ = np.mean(X, axis=0)
        return self

    def transform(self, X):
        return np.asarray(X) - self.mean_


def test_steps_before_the_student_are_fitted_once_for_both():
    Counted.fitted = 0
    pipeline = make_pipeline(Counted(), student())
    result = gain(pipeline, X, y, seeds=2, cv=CV)
    assert Counted.fitted == 4
    train, test = next(CV.split(X, y))
    by_hand = clone(pipeline).set_params(distilledclassifier__random_state=1)
    by_hand.fit(X[train], y[train])
    assert result.distilled[1, 0] == by_hand.score(X[test], y[test])
    teacher = by_hand[-1].teacher_  # sees what the steps made
    shown = by_hand[:-1].transform(X[test])
    assert result.teacher[1, 0] == teacher.score(shown, y[test])


# Its teacher is random, and may be right on none of the few rows.
@pytest.mark.filterwarnings("ignore:.too-sure:skkd.TeacherWarning")
def test_paths_of_images(tmp_path):
    rng = np.random.default_rng(0)
    for name, level in {"bright": 200, "dark": 60}.items():
        (tmp_path / name).mkdir()
        for number in range(12):
            pixels = rng.normal(level, 20, (8, 8, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{number}.png")
    photos = load_image_folder(tmp_path)
    net = DistilledClassifier(
        SmallCNN, module__width=4, teacher=SmallCNN(2, (3, 8, 8)).eval(), max_epochs=1
    )
    result = gain(
        make_pipeline(ImageReader(size=8), net),
        photos.data,
        photos.target,
        seeds=1,
        cv=2,
        groups=photos.groups,
        resume=tmp_path / "fits.jsonl",
    )
    assert result.teacher.shape == (1, 2)
    assert result.n_parameters["teacher"] > result.n_parameters["plain"]


@pytest.mark.parametrize("mark", [-1, "?"])
def test_rows_without_a_label_teach_one_student_and_test_nobody(fits, mark):
    labels = np.asarray(y if mark == -1 else NAMES, dtype=object)
    labels[::3] = mark
    given = labels.astype(int) if mark == -1 else labels.tolist()
    result = gain(student(unlabeled=mark), X, given, seeds=1, cv=2)
    assert fits == [(False, 50), (True, 100)] * 2
    tested = np.concatenate([fit.rows for fit in result.predictions[:2]])
    assert sorted(tested) == [row for row in range(150) if row % 3]


def test_rows_without_a_label_stay_with_their_group(fits):
    labels, groups = y.copy(), np.arange(150) // 3
    labels[::3] = -1
    gain(student(unlabeled=-1), X, labels, seeds=1, cv=2, groups=groups)
    assert sum(n for taught, n in fits if taught) == 150
    assert sum(n for taught, n in fits if not taught) == 100


@pytest.mark.parametrize(
    "make",
    [
        lambda net: BornAgain(net, n_generations=2),
        lambda net: DistilledEnsemble(net, n_students=2),
        lambda net: AssistantChain(net, [{"module__hidden": 8}]),
        lambda net: MutualLearning(net.set_params(teacher=None, teacher_cv="prefit")),
    ],
)
def test_recipes(make):
    recipe = make(student())
    result = gain(make_pipeline(StandardScaler(), recipe), X, y, seeds=1, cv=CV)
    assert (result.teacher is None) == isinstance(recipe, MutualLearning)
    train, test = next(CV.split(X, y))
    scaler = StandardScaler().fit(X[train])
    by_hand = clone(recipe).set_params(estimator__random_state=0)
    by_hand.fit(scaler.transform(X[train]), y[train])
    expected = by_hand.score(scaler.transform(X[test]), y[test])
    assert result.distilled[0, 0] == expected


def test_a_loss_that_needs_no_teacher():
    net = student(teacher=None, teacher_cv="prefit", distillation="label_smoothing")
    result = gain(net.set_params(alpha=0.9), X, y, seeds=1, cv=2)
    assert result.teacher is None and "teacher" not in str(result)
    assert not np.array_equal(
        result.predictions[0].y_pred, result.predictions[2].y_pred
    )


def test_a_loss_on_features():
    teacher = DistilledClassifier(
        module__hidden=8, max_epochs=10, lr=0.1, random_state=0
    )
    layers = {"student_layer": "body.1", "teacher_layer": "body.1"}
    net = student(
        teacher=teacher.fit(X, y),
        teacher_cv="prefit",
        distillation="fitnet",
        **{f"distillation__{k}": v for k, v in layers.items()},
    )
    assert gain(net, X, y, seeds=1, cv=2).plain.shape == (1, 2)


@pytest.mark.filterwarnings("ignore:.permuted-classes", "ignore:.too-sure")
def test_a_declared_class_may_have_a_longer_name_than_those_of_y():
    three = np.array(["cat", "catfish", "dog"])
    two = np.where(y == 2, "dog", "cat")
    teacher = clone(TEACHER).fit(X, three[y])
    net = student(teacher=teacher, teacher_cv="prefit", classes=[*three])
    result = gain(net, X, two, seeds=1, cv=CV)
    assert result.teacher.max() < 0.75  # a third is called catfish, and is a cat
    assert {*result.predictions[-1].y_pred} == {*three}


def test_groups_stay_together_in_the_folds_of_the_teacher():
    groups, folds = np.arange(150) // 3, []

    class Noting(LogisticRegression):
        def fit(self, X, y):
            folds.append({*X[:, 0].tolist()})
            return super().fit(X, y)

    rows = X.copy()
    rows[:, 0] = groups  # names the group
    net = student(teacher=Noting(max_iter=500), teacher_cv=2)
    gain(net, rows, y, seeds=1, cv=2, groups=groups)
    for one, other in zip(folds[::2], folds[1::2], strict=True):
        assert not one & other  # each fits on the complement of its fold
    with pytest.raises(ValueError, match="groups= with teacher_cv=2 inside of a rec"):
        gain(BornAgain(net), rows, y, seeds=1, cv=2, groups=groups)


def test_folds_of_each_seed():
    def cv(seed):
        return StratifiedKFold(3, shuffle=True, random_state=seed)

    result = gain(student(), X, y, seeds=2, cv=cv)
    folds = {
        seed: [
            fit.rows
            for fit in result.predictions
            if fit.network == "plain" and fit.seed == seed
        ]
        for seed in (0, 1)
    }
    for seed, rows in folds.items():
        expected = [test for _, test in cv(seed).split(X, y)]
        assert all(map(np.array_equal, rows, expected))
    assert not np.array_equal(folds[0][0], folds[1][0])


@pytest.mark.parametrize("callbacks", [None, [("idle", Callback())]])
def test_processes_give_the_same(callbacks):
    net = student(random_state=0, callbacks=callbacks)
    alone = gain(net, X, NAMES, seeds=2, cv=2)
    beside = gain(net, X, NAMES, seeds=2, cv=2, n_jobs=2)
    for one, two in zip(alone.predictions, beside.predictions, strict=True):
        assert one[:3] == two[:3] and np.array_equal(one.y_pred, two.y_pred)


def test_imports_of_torch_are_nobodys_time(monkeypatch):
    order = []
    monkeypatch.setattr(_jobs, "warm_up", lambda: order.append("warm"))
    run = DistilledClassifier._run
    monkeypatch.setattr(
        DistilledClassifier, "_run", lambda *a, **k: order.append("fit") or run(*a, **k)
    )
    gain(student(), X, y, seeds=1, cv=[next(CV.split(X, y))])
    assert order == ["warm", "fit", "fit"]


def test_documented_defaults_are_the_defaults():
    documented = re.findall(r"^    (\w+) : .*default=(.+)$", gain.__doc__, re.M)
    parameters = inspect.signature(gain).parameters
    assert [name for name, _ in documented] == [*parameters][3:]
    for name, text in documented:
        assert eval(text, {}) == parameters[name].default, name


class Rows(torch.utils.data.Dataset):
    def __len__(self):
        return len(X)

    def __getitem__(self, i):
        return X[i], int(y[i])


@pytest.mark.parametrize("kind", ["dataset", "frame", "tensor"])
def test_rows_of_other_kinds(kind):
    pd = pytest.importorskip("pandas")
    kinds = {"dataset": Rows, "frame": lambda: pd.DataFrame(X)}
    rows = kinds.get(kind, lambda: torch.from_numpy(X))()
    teacher = LogisticRegression(max_iter=500).fit(X, y)
    teacher = lambda rows, fitted=teacher: fitted.decision_function(rows)  # noqa: E731
    net = student(teacher=teacher, teacher_cv="prefit")
    labels = None if kind == "dataset" else pd.Series(y)
    result = gain(net, rows, labels, seeds=1, cv=CV)
    assert outcome(result) == outcome(gain(net, X, y, seeds=1, cv=CV))


# What is refused ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimator", "error", "message"),
    [
        (student(teacher=None, teacher_cv="prefit"), ValueError, "teacher=None"),
        (student(alpha=0.0), ValueError, "alpha=0"),
        (student(teacher_cv="prefit"), Exception, "is not fitted"),
        (student(teacher=len), TypeError, "cannot be cloned and fitted"),
        (TEACHER, TypeError, "a LogisticRegression, expected a DistilledClassifier"),
        (make_pipeline(StandardScaler(), TEACHER), TypeError, "a LogisticRegression"),
        (GridSearchCV(student(), {"lr": [1]}), TypeError, "search on other rows first"),
        (BornAgain(TEACHER), TypeError, "a BornAgain, expected"),
    ],
)
def test_other_estimators_are_refused(fits, estimator, error, message):
    with pytest.raises(error, match=message):
        gain(estimator, X, y)
    assert not fits


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"seeds": 0}, "seeds=0"),
        ({"seeds": [1, 1]}, r"seeds=\[1, 1\]"),
        ({"seeds": [-1]}, r"seeds=\[-1\]"),
        ({"metric": "f1"}, "metric='f1'"),
        ({"confidence": 95}, "confidence=95"),
        ({"confidence": "95 %"}, "confidence='95 %'"),
        ({"cv": []}, "gives no fold"),
        ({"cv": (np.arange(100), np.arange(100, 150))}, r"\[\(train, test\)\]"),
        ({"cv": [(np.arange(100), np.arange(90, 150))]}, "tests 10 rows that train"),
        ({"cv": [(np.arange(100), [150])]}, "names row 150"),
        ({"cv": [(np.arange(100), [120, -1])]}, "names row -1"),
        ({"cv": lambda seed: 2 + seed}, r"gives \[2, 3, 4, 5, 6\] folds"),
        (
            {"cv": [*CV.split(X, y)], "groups": y},
            "groups on both sides",
        ),
    ],
)
def test_parameters_without_sense_are_refused(fits, params, message):
    with pytest.raises(ValueError, match=message):
        gain(student(), X, y, **params)
    assert not fits
