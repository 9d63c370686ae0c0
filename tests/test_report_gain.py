"""The same student with and without its teacher: scores, interval, words, resuming."""

import inspect
import json
import re
import sys

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.model_selection import (
    GridSearchCV,
    ShuffleSplit,
    StratifiedKFold,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd import DistilledClassifier, ImageReader, load_image_folder
from skkd.augment import RandomHorizontalFlip
from skkd.callbacks import Anneal, WarmUp
from skkd.memory._fingerprint import fingerprint
from skkd.recipes import AssistantChain, BornAgain, DistilledEnsemble, MutualLearning
from skkd.report import Fit, Gain, gain
from skkd.report._gain import _fits
from skkd.report._gain._interval import crossed_interval
from skkd.report._gain._scoring import differences
from skkd.students import SmallCNN

X, y = load_iris(return_X_y=True)
X = X.astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]
CV = StratifiedKFold(2, shuffle=True, random_state=0)
TEACHER = LogisticRegression(max_iter=500)


def student(**params):
    params = {"teacher": TEACHER, "teacher_cv": None} | params
    return DistilledClassifier(module__hidden=4, max_epochs=3, lr=0.1, **params)


@pytest.fixture
def fits(monkeypatch):
    """What was fitted: a list of (has a teacher, number of rows)."""
    seen = []
    fit = DistilledClassifier.fit

    def noted(self, X, y=None, **kwargs):
        seen.append((self.teacher is not None, len(y)))
        return fit(self, X, y, **kwargs)

    monkeypatch.setattr(DistilledClassifier, "fit", noted)
    return seen


# What is trained ----------------------------------------------------------------


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


@pytest.mark.filterwarnings("ignore:.permuted-classes")
def test_a_declared_class_may_have_a_longer_name_than_those_of_y():
    three = np.array(["cat", "catfish", "dog"])
    two = np.where(y == 2, "dog", "cat")
    teacher = clone(TEACHER).fit(X, three[y])
    net = student(teacher=teacher, teacher_cv="prefit", classes=[*three])
    result = gain(net, X, two, seeds=1, cv=CV)
    assert result.teacher.max() < 0.75  # a third is called catfish, and is a cat
    assert {*result.predictions[-1].y_pred} == {*three}


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


def test_processes_give_the_same():
    net = student(random_state=0)
    alone = gain(net, X, NAMES, seeds=2, cv=2)
    beside = gain(net, X, NAMES, seeds=2, cv=2, n_jobs=2)
    for one, two in zip(alone.predictions, beside.predictions, strict=True):
        assert one[:3] == two[:3] and np.array_equal(one.y_pred, two.y_pred)


def test_imports_of_torch_are_nobodys_time(monkeypatch):
    order = []
    monkeypatch.setattr(_fits, "warm_up", lambda: order.append("warm"))
    fit = DistilledClassifier.fit
    monkeypatch.setattr(
        DistilledClassifier, "fit", lambda *a, **k: order.append("fit") or fit(*a, **k)
    )
    gain(student(), X, y, seeds=1, cv=[next(CV.split(X, y))])
    assert order == ["warm", "fit", "fit"]


def test_documented_defaults_are_the_defaults():
    documented = re.findall(r"^    (\w+) : .*default=(.+)$", gain.__doc__, re.M)
    parameters = inspect.signature(gain).parameters
    assert [name for name, _ in documented] == [*parameters][3:]
    for name, text in documented:
        assert eval(text, {}) == parameters[name].default, name


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


# Going on -----------------------------------------------------------------------


def outcome(result):
    return [(fit[:3], fit.y_pred.tolist()) for fit in result.predictions]


@pytest.mark.parametrize("cut", [0, 7])
def test_what_was_interrupted_goes_on(monkeypatch, tmp_path, fits, cut):
    path = tmp_path / "new folder" / "fits.jsonl"
    run = {"seeds": 2, "cv": CV}
    whole = gain(student(), X, NAMES, **run)
    fit, left = DistilledClassifier.fit, [3]

    def interrupted(self, X, y=None, **kwargs):
        if not left[0]:
            raise KeyboardInterrupt
        left[0] -= 1
        return fit(self, X, y, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(DistilledClassifier, "fit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            gain(student(), X, NAMES, **run, resume=path)
    if cut:  # killed while it wrote
        path.write_bytes(path.read_bytes()[:-cut])
    fits.clear()
    resumed = gain(student(), X, NAMES, **run, resume=path)
    assert len(fits) == 8 - 3 + (cut > 0)
    assert outcome(resumed) == outcome(whole)
    fits.clear()
    again = gain(student(), X, NAMES, **run, resume=str(path))
    assert not fits and outcome(again) == outcome(whole)
    assert again.interval == whole.interval
    assert len(path.read_text().splitlines()) == 1 + 8


def test_seeds_can_be_added_and_left_out(tmp_path, fits):
    path = tmp_path / "fits.jsonl"
    gain(student(), X, y, seeds=1, cv=2, resume=path)
    more = gain(student(), X, y, seeds=2, cv=2, resume=path)
    assert len(fits) == 8
    assert outcome(more) == outcome(gain(student(), X, y, seeds=2, cv=2))
    fits.clear()
    assert gain(student(), X, y, seeds=[1], cv=2, resume=path).plain.shape == (1, 2)
    assert not fits


@pytest.mark.parametrize(
    ("change", "differs"),
    [
        ({"estimator": student(alpha=0.9)}, "alpha of the estimator"),
        ({"estimator": student(teacher=LogisticRegression(C=2))}, "teacher of the"),
        ({"estimator": make_pipeline(student())}, "type of the estimator"),
        ({"X": X + 1}, "X of the data"),
        ({"y": 2 - y}, "y of the data"),
        ({"cv": StratifiedKFold(2, shuffle=True, random_state=1)}, "other folds"),
        ({"cv": [next(CV.split(X, y))][:1]}, "other folds"),
    ],
)
def test_a_file_of_something_else_is_refused(tmp_path, fits, change, differs):
    path = tmp_path / "fits.jsonl"
    given = {"estimator": student(), "X": X, "y": y, "cv": CV, "seeds": 1}
    gain(**given, resume=path)
    before = path.read_bytes()
    fits.clear()
    with pytest.raises(ValueError, match=differs):
        gain(**{**given, **change}, resume=path)
    assert not fits and path.read_bytes() == before


def test_the_seed_of_a_step_is_a_parameter_and_that_of_a_student_is_not(tmp_path):
    path, run = tmp_path / "fits.jsonl", {"seeds": 1, "cv": 2}

    def pipeline(step, net):
        reduce = PCA(1, svd_solver="randomized", random_state=step)
        return make_pipeline(reduce, student(random_state=net))

    gain(pipeline(0, 0), X, y, **run, resume=path)
    gain(pipeline(0, 1), X, y, **run, resume=path)
    with pytest.raises(ValueError, match="something else: pca__random_state"):
        gain(pipeline(1, 0), X, y, **run, resume=path)


def test_another_fitted_teacher_is_another(tmp_path):
    path, nets = tmp_path / "fits.jsonl", []
    for n in (150, 149):
        teacher = LogisticRegression(max_iter=500).fit(X[:n], y[:n])
        nets.append(student(teacher=teacher, teacher_cv="prefit"))
    gain(nets[0], X, y, seeds=1, cv=2, resume=path)
    with pytest.raises(ValueError, match="something else: teacher of the estimator"):
        gain(nets[1], X, y, seeds=1, cv=2, resume=path)


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "no line", '{"a": 1}\n', "[1]\n"])
def test_files_of_others_are_left_alone(tmp_path, text):
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match="not written by gain"):
        gain(student(), X, y, resume=path)
    assert path.read_text() == text


def test_a_damaged_line_is_reported(tmp_path):
    path = tmp_path / "fits.jsonl"
    gain(student(), X, y, seeds=1, cv=2, resume=path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], lines[2][:-9], *lines[3:]]) + "\n")
    with pytest.raises(ValueError, match="line 3 cannot be read"):
        gain(student(), X, y, seeds=1, cv=2, resume=path)


def test_one_process_writes_at_a_time(tmp_path, monkeypatch):
    path = tmp_path / "fits.jsonl"
    fit = DistilledClassifier.fit

    def fit_and_try(self, X_, y_=None, **kwargs):
        with pytest.raises(ValueError, match="another process is writing"):
            gain(student(), X, y, resume=path)
        return fit(self, X_, y_, **kwargs)

    monkeypatch.setattr(DistilledClassifier, "fit", fit_and_try)
    gain(student(), X, y, seeds=1, cv=2, resume=path)


def test_a_lambda_has_no_content_that_changes_with_the_process(tmp_path):
    def build(n_classes, input_shape):
        return torch.nn.Linear(input_shape[0], n_classes)

    path = tmp_path / "fits.jsonl"
    net = DistilledClassifier(build, teacher=TEACHER, teacher_cv=None, max_epochs=1)
    gain(net, X, y, seeds=1, cv=2, resume=path)
    assert len(path.read_text().splitlines()) == 5
    header = json.loads(path.read_text().splitlines()[0])
    net.set_params(module=lambda n_classes: torch.nn.Linear(4, n_classes))
    with pytest.raises(ValueError, match="something else: module of the estimator"):
        gain(net, X, y, seeds=1, cv=2, resume=path)
    assert torch.__version__.startswith(header["versions"]["torch"])


def test_progress_is_shown_where_it_is_asked_for(capsys):
    gain(student(), X, y, seeds=1, cv=2)
    assert capsys.readouterr() == ("", "")
    gain(student(), X, y, seeds=1, cv=2, verbose=1)
    out, err = capsys.readouterr()
    assert not out and "4/4" in err


# The interval -------------------------------------------------------------------


def drawn(rng, n_seeds, n_rows, *, of_seed, of_row, of_both=1.0, mean=0.0):
    return (
        mean
        + of_seed * rng.normal(size=(n_seeds, 1))
        + of_row * rng.normal(size=n_rows)
        + of_both * rng.normal(size=(n_seeds, n_rows))
    )


@pytest.mark.parametrize("n_seeds", [1, 3, 5])
@pytest.mark.parametrize("of_seed", [0.0, 0.3])
@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_intervals_hold_what_they_promise(n_seeds, of_seed, mean):
    rng = np.random.default_rng(7)
    of_seed = of_seed if n_seeds > 1 else 0.0
    held, n = 0, 1000
    for _ in range(n):
        d = drawn(rng, n_seeds, 60, of_seed=of_seed, of_row=0.5, mean=mean)
        means = d.mean(axis=1)
        low, high = crossed_interval(means, (d - means[:, None]) / 60, 0.95)
        held += low <= mean <= high
    assert 0.935 <= held / n <= 0.99


def test_a_bootstrap_would_promise_too_much():
    """What the interval is for: five seeds that differ, a bootstrap holds 86 %."""
    rng = np.random.default_rng(0)
    held = np.zeros(2)
    for _ in range(300):
        d = drawn(rng, 5, 60, of_seed=1.0, of_row=0.2)
        means = d.mean(axis=1)
        low, high = crossed_interval(means, (d - means[:, None]) / 60, 0.95)
        seeds = rng.multinomial(5, [0.2] * 5, size=400) / 5
        rows = rng.multinomial(60, [1 / 60] * 60, size=400) / 60
        resampled = np.einsum("bs,sr,br->b", seeds, d, rows)
        bounds = np.quantile(resampled, [0.025, 0.975])
        held += [low <= 0 <= high, bounds[0] <= 0 <= bounds[1]]
    ours, bootstrap = held / 300
    assert ours > 0.92 and bootstrap < 0.91


def made(plain, distilled, truth, folds=None, **params):
    """Make a Gain of predictions, (n_seeds, n_rows)."""
    fits = []
    folds = [np.arange(len(truth))] if folds is None else folds
    for network, said in {"plain": plain, "distilled": distilled}.items():
        for seed, of_seed in enumerate(np.asarray(said)):
            for number, rows in enumerate(folds):
                fits.append(
                    Fit(
                        network, seed, number, rows, truth[rows], of_seed[rows], 1.0, 10
                    )
                )
    units = params.pop("units", np.arange(len(truth)))
    return Gain(tuple(fits), units, **params)


@pytest.fixture
def noisy():
    """Predictions of three seeds on 90 rows of three classes, unequally many."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [50, 25, 15])
    said = [
        np.where(rng.random((3, 90)) < share, truth, rng.integers(0, 3, (3, 90)))
        for share in (0.5, 0.7)
    ]
    return *said, truth


def test_one_seed_is_the_paired_t_interval(noisy):
    plain, distilled, truth = noisy
    result = made(plain[:1], distilled[:1], truth)
    d = (distilled[0] == truth) * 1.0 - (plain[0] == truth)
    from scipy.stats import ttest_1samp

    expected = ttest_1samp(d, 0).confidence_interval(0.95)
    assert result.interval == pytest.approx(tuple(expected))
    assert "covers other test rows, not other seeds or" in result.covers


def test_the_interval_by_its_formula(noisy):
    plain, distilled, truth = noisy
    folds = [np.arange(0, 90, 2), np.arange(1, 90, 2)]
    result = made(plain, distilled, truth, folds, confidence=0.9)
    d = (distilled == truth) * 1.0 - (plain == truth)
    from scipy.stats import t

    seeds = d.mean(axis=1).var(ddof=1) / 3
    rows = np.mean([np.cov(d)[i, j] for i in range(3) for j in range(3) if i != j]) / 90
    rows = max(rows, 0)
    width = np.sqrt(t.ppf(0.95, 2) ** 2 * seeds + t.ppf(0.95, 89) ** 2 * rows)
    width = max(width, t.ppf(0.95, 89) * (np.cov(d).mean() / 90) ** 0.5)
    assert result.interval == pytest.approx((d.mean() - width, d.mean() + width))


@pytest.mark.parametrize(
    ("metric", "function"),
    [
        ("accuracy", accuracy_score),
        ("balanced_accuracy", balanced_accuracy_score),
    ],
)
def test_named_metrics_are_those_functions(noisy, metric, function):
    plain, distilled, truth = noisy
    one = made(plain, distilled, truth, metric=metric)
    two = made(plain, distilled, truth, metric=lambda t, p: function(t, p))
    assert one.plain == pytest.approx(two.plain)
    assert one.gain == pytest.approx(two.gain)
    widths = [np.diff(result.interval).item() for result in (one, two)]
    assert widths[1] == pytest.approx(widths[0], rel=0.02)
    assert "points" in one.verdict and "points" not in two.verdict
    assert one.with_metric(two.metric).interval == two.interval


def test_a_copy_of_a_row_is_no_evidence(noisy):
    plain, distilled, truth = noisy
    once = made(plain, distilled, truth)
    twice = [np.concatenate([said, said], axis=-1) for said in (plain, distilled)]
    rows = np.concatenate([np.arange(90)] * 2)
    grouped = made(*twice, np.tile(truth, 2), units=rows, grouped=True)
    assert grouped.interval == pytest.approx(once.interval)
    assert "180 test rows in 90 groups" in grouped.covers
    alone = made(*twice, np.tile(truth, 2))
    assert np.diff(alone.interval) < np.diff(once.interval)


def test_rows_that_are_tested_twice_count_once(noisy):
    plain, distilled, truth = noisy
    once = made(plain, distilled, truth)
    again = made(plain, distilled, truth, [np.arange(90), np.arange(90)])
    assert again.interval == pytest.approx(once.interval)
    of_seeds, influence = differences(
        "accuracy",
        [
            [(a, b)]
            for a, b in zip(once._of("plain"), once._of("distilled"), strict=True)
        ],
        once.units,
    )
    assert influence.shape == (3, 90) and len(of_seeds) == 3
    assert influence.sum(axis=1) == pytest.approx(0)


def test_rows_that_are_not_tested_do_not_count():
    cv = ShuffleSplit(2, test_size=10, random_state=0)
    result = gain(student(), X, y, seeds=2, cv=cv)
    tested = {row for fit in result.predictions for row in fit.rows}
    assert f"{len(tested)} test rows" in result.covers


def test_agreement_on_few_rows_proves_nothing():
    truth = np.arange(20) % 2
    result = made(truth[None], truth[None], truth)
    low, high = result.interval
    assert low == -high and 0.05 < high < 0.15
    assert result.verdict.startswith("no evidence of a gain: +0.0 points")


def test_one_row_of_one_seed_proves_nothing():
    truth = np.array([1])
    result = made([[0]], [[1]], truth)
    assert result.interval == (-np.inf, np.inf)
    assert result.verdict.startswith("no evidence of a gain: +100.0 points")
    several = made([[0], [1]], [[1], [1]], truth)
    assert several.interval[0] < 0 < several.interval[1]
    assert "1 test row. The interval covers nothing, not" in result.covers
    assert "covers other seeds, not other test rows or" in several.covers
    group = np.zeros(2, dtype=int)
    one = made([[0, 1]], [[1, 1]], np.ones(2), units=group, grouped=True)
    assert "2 test rows in 1 group. The interval covers nothing" in one.covers


# Words --------------------------------------------------------------------------


def test_verdicts():
    truth = np.zeros(100, dtype=int)
    right, wrong = np.zeros((2, 100)), np.arange(100) < [[20], [21]]
    better = made(wrong * 1.0, right, truth)
    assert better.verdict.startswith("gain of +20.5 points (95 % interval +")
    worse = made(right, wrong * 1.0, truth)
    assert worse.verdict.startswith("a loss of 20.5 points (95 % interval -")
    mixed = made(wrong * 1.0, (np.arange(100) > 79) * np.ones((2, 1)), truth)
    assert mixed.verdict.startswith("no evidence of a gain: +0.5 points (95 % inter")


def test_no_evidence_is_what_a_useless_teacher_gives():
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(120, 3)).astype(np.float32)
    labels = rng.integers(0, 2, 120)
    result = gain(student(teacher=LogisticRegression()), noise, labels, seeds=3, cv=2)
    assert result.verdict.startswith("no evidence of a gain")


def test_shown_as_text_markdown_and_html(noisy):
    plain, distilled, truth = noisy

    def a_metric(y_true, y_pred):
        return accuracy_score(y_true, y_pred)

    a_metric.__name__ = "<script>"
    result = made(plain, distilled, truth)
    text = str(result).splitlines()
    assert text == repr(result).splitlines()
    assert text[0].split() == ["accuracy", "parameters", "seconds", "to", "fit"]
    assert text[1].startswith("plain student") and text[2].startswith("distilled")
    assert text[-2:] == [result.verdict, result.covers]
    lines = result.to_markdown().splitlines()
    assert lines[1] == "| --- | ---: | ---: | ---: |"
    assert all(line.count("|") == 5 for line in lines[:4])
    strange = result.with_metric(a_metric)
    assert "<script>" not in strange._repr_html_() and "score" in str(strange)


def test_shown_as_a_frame(noisy, monkeypatch):
    pd = pytest.importorskip("pandas")
    result = made(*noisy)
    frame = result.to_frame()
    assert isinstance(frame, pd.DataFrame) and len(frame) == 6
    means = frame.groupby("network")["score"].mean()
    assert means["distilled"] - means["plain"] == pytest.approx(result.gain)
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match="pip install pandas"):
        result.to_frame()


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
