"""What is said first of a mistake, and that it is said before training."""

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from skorch.callbacks import (
    Callback,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
)
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import SliceDataset, predefined_split
from torch.utils.data import DataLoader, TensorDataset

from skkd import DistillationWarning, DistilledClassifier
from skkd.augment import RandomErasing
from skkd.recipes import AssistantChain, BornAgain
from skkd.search import pruned_cross_val_score
from skkd.teachers import as_teacher

X, y = load_iris(return_X_y=True)
X = X.astype("float32")
TEACHER = LogisticRegression(max_iter=500).fit(X, y)
DATASET = TensorDataset(torch.tensor(X), torch.tensor(y))


class NotBuilt(torch.nn.Module):
    def __init__(self, n_classes, input_shape, hidden=3):
        raise AssertionError("the student was built")


def net(**params):
    return DistilledClassifier(**{"max_epochs": 1, "random_state": 0, **params})


# Names ------------------------------------------------------------------------

MISSPELT = {
    "temprature": "Did you mean 'temperature'",
    "n_view": "Did you mean 'n_views'",
    "epochs": "Did you mean 'max_epochs'",
    "learning_rate": "Did you mean 'lr'",
    "optimiser__lr": "Did you mean 'optimizer'",
    "optimizer__wieght_decay": "Did you mean 'weight_decay'",
    "criterion__label_smothing": "Did you mean 'label_smoothing'",
    "iterator_train__drop_lst": "Did you mean 'drop_last'",
    "module__hiden": "Did you mean 'hidden'",
    "distillation__betta": "Did you mean 'beta'",
    "callbacks__print_lgo": "Did you mean 'print_log'",
    "augment__p": "Set it on the object that is passed as augment=",
}


@pytest.mark.parametrize("name", MISSPELT)
def test_a_misspelt_parameter(name):
    student = net(distillation="dkd", **{name: 1})
    with pytest.raises((ValueError, TypeError), match=MISSPELT[name]):
        student.fit(X, y)


@pytest.mark.parametrize("name", [n for n in MISSPELT if not n.startswith("augment")])
@pytest.mark.parametrize("fitted", [False, True])
def test_a_misspelt_parameter_of_set_params(name, fitted):
    student = net(distillation="dkd")
    student = student.fit(X, y) if fitted else student
    with pytest.raises((ValueError, TypeError), match=MISSPELT[name]):
        student.set_params(**{name: 1}).fit(X, y)


def test_misspelt_parameters_of_searches_and_recipes():
    with pytest.raises(ValueError, match="Did you mean 'temperature'"):
        GridSearchCV(net(), {"temprature": [1]}, error_score="raise").fit(X, y)
    with pytest.raises(ValueError, match="Did you mean 'temperature'"):
        BornAgain(net()).set_params(estimator__temprature=2)
    with pytest.raises(ValueError, match="Did you mean 'max_epochs'"):
        AssistantChain(net(teacher=TEACHER), [{"max_epoch": 3}]).fit(X, y)
    with pytest.raises(ValueError, match=r"output='logit s'.*mean 'logits'"):
        as_teacher(TEACHER, output="logit s")


@pytest.mark.parametrize(
    "name", ["sample_weights", "teacher_logit", "teacher_x", "group"]
)
def test_a_misspelt_argument_of_fit(name):
    for student in (net(), BornAgain(net(teacher=TEACHER))):
        with pytest.raises(TypeError, match=rf"fit got {name}=.*Did you mean '\w+'"):
            student.fit(X, y, **{name: np.ones(150)})


def test_correct_names_are_not_complained_of():
    params = {
        "module__hidden": 4,
        "optimizer__weight_decay": 0.1,
        "optimizer__param_groups": [("*.weight", {"lr": 0.1})],
        "criterion__label_smoothing": 0.1,
        "iterator_train__drop_last": True,
        "callbacks__print_log": None,
        "callbacks__EarlyStopping__patience": 3,
        "callbacks": [EarlyStopping("train_loss")],
        "distillation__beta": 2.0,
        "distillation": "dkd",
        "teacher": TEACHER,
    }
    student = net(**params).fit(X, y)
    student.set_params(augment=None, callbacks__EarlyStopping__patience=2).fit(X, y)
    images = np.zeros((6, 1, 8, 8), np.uint8)
    student = net(augment=RandomErasing(2)).set_params(augment__size=1)
    student.fit(images, [0, 1] * 3)
    net(callbacks="disable", callbacks__print_log=None).fit(X, y)


# Values -----------------------------------------------------------------------

VALUES = {
    "temperature": [1e300, 1e-300, np.inf, np.nan, "2", None, -1, True],
    "lr": [np.inf, -1, np.nan, "0.1", None],
    "max_epochs": [-1, 2.5, "3", None, np.inf],
    "batch_size": [None, 0, -2, "8", 8.0, np.nan],
}


@pytest.mark.parametrize("name", VALUES)
def test_values_out_of_range(name):
    for value in VALUES[name]:
        with pytest.raises(ValueError, match=rf"^{name}=.*: expected an? "):
            net(module=NotBuilt, teacher=TEACHER, **{name: value}).fit(X, y)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_scalars_of_numpy_are_numbers(kind):
    whole = np.int32 if kind is np.float32 else np.int64
    params = {"temperature": kind(2), "alpha": kind(0.5), "lr": kind(0.01)}
    student = net(
        teacher=TEACHER, batch_size=whole(50), max_epochs=whole(1), **params
    ).fit(X, y)
    assert student.history[-1]["train_batch_count"] == 3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("optimizer", "adam", "such as torch.optim.Adam"),
        ("criterion", "ce", "such as torch.nn.CrossEntropyLoss"),
        ("module", "mlp", "such as skkd.students.MLP"),
        ("callbacks", EarlyStopping(), "expected a list of callbacks"),
        ("callbacks", "off", "expected a list of callbacks"),
    ],
)
def test_what_is_no_class(name, value, message):
    with pytest.raises(TypeError, match=message):
        net(**{name: value}).fit(X, y)


# Validation data --------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "remedy"),
    [(0.2, r"ValidSplit\(0.2\)"), (5, r"ValidSplit\(5\)"), (np.float64(0.1), "0.1")],
)
def test_a_number_is_no_splitter(given, remedy):
    with pytest.raises(ValueError, match=rf"train_split=.*expected .*{remedy}"):
        net(module=NotBuilt, train_split=given).fit(X, y)
    student = net(train_split=ValidSplit(given)).fit(X, y)
    assert "valid_loss" in student.history[-1]


def test_other_things_that_are_no_splitters():
    with pytest.raises(ValueError, match=r"ValidSplit\(cv\)"):
        net(train_split=KFold(3)).fit(X, y)
    for given in (True, (X, y), "no", 3.5, -1):
        with pytest.raises(
            ValueError, match=r"ValidSplit\(0.2\), or for .*predefined_split"
        ):
            net(train_split=given).fit(X, y)
    for fine in (ValidSplit(KFold(3)), predefined_split(Dataset(X, y)), None, False):
        net(train_split=fine).fit(X, y)


FOLLOWERS = {
    "early stopping": lambda: EarlyStopping(),
    "its class": lambda: EarlyStopping,
    "named": lambda: ("stop", EarlyStopping()),
    "checkpoint": lambda: Checkpoint(),
    "accuracy": lambda: EarlyStopping("valid_acc", lower_is_better=False),
    "schedule": lambda: LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
}


@pytest.mark.parametrize("kind", FOLLOWERS)
def test_a_callback_that_follows_validation_data(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    student = net(module=NotBuilt, callbacks=[FOLLOWERS[kind]()])
    with pytest.raises(ValueError, match=r"without train_split=.*ValidSplit\(0.2, str"):
        student.fit(X, y)
    split = ValidSplit(0.2, stratified=True)  # as the message says
    net(callbacks=[FOLLOWERS[kind]()], train_split=split).fit(X, y)
    if kind == "early stopping":
        student = net(callbacks=[FOLLOWERS[kind]()])
        student.set_params(callbacks__EarlyStopping__monitor="train_loss").fit(X, y)


def test_a_score_of_no_data_is_told():
    scoring = EpochScoring("accuracy", use_caching=True, name="acc")
    with pytest.warns(DistillationWarning, match="it records nothing"):
        net(callbacks=[scoring]).fit(X, y)
    on_train = EpochScoring("accuracy", on_train=True, name="acc")
    assert "acc" in net(callbacks=[on_train]).fit(X, y).history[-1]


def test_a_callback_of_the_users_may_record_what_is_followed():
    class Records(Callback):
        def on_epoch_end(self, net, **kwargs):
            net.history.record("valid_loss", 1.0)

    net(callbacks=[Records(), EarlyStopping()]).fit(X, y)


# Data -------------------------------------------------------------------------


def test_missing_values_and_text():
    holes = X.copy()
    holes[3, 1] = np.nan
    frame, text = pd.DataFrame(holes), pd.DataFrame(X, columns=[*"abcd"])
    text = text.assign(e=["u", "v"] * 75)
    for wrong in (holes, text.to_numpy()):
        with pytest.raises(ValueError, match=r"(?s)'auto'.*teacher takes X as"):
            net(teacher=TEACHER).fit(wrong, y)
        with pytest.raises(ValueError) as caught:
            net().fit(wrong, y)
        assert "teacher takes" not in str(caught.value)
    for table in (frame, text):  # where it is taken without a word
        assert net(max_epochs=1).fit(table, y).preprocessor_ is not None
    trees = HistGradientBoostingClassifier(max_iter=5).fit(holes, y)
    net(teacher=trees, max_epochs=20).fit(X, y, teacher_X=holes)


def test_labels_that_are_none():
    for teacher in (None, TEACHER):
        with pytest.raises(ValueError, match="y has one class only, 0: expected two"):
            net(teacher=teacher).fit(X[:50], y[:50])
        with pytest.raises(ValueError, match=r"partial_fit, declare all"):
            net(teacher=teacher).partial_fit(X[:50], y[:50])
    assert net(classes=[0, 1, 2]).fit(X[:50], y[:50]).predict(X[:9]).shape == (9,)
    with pytest.raises(ValueError, match=r"shape \(150, 3\).*argmax\(axis=1\)"):
        net().fit(X, np.eye(3)[y])
    with pytest.raises(ValueError, match="Unknown label type: continuous"):
        net().fit(X, y + 0.5)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        net().fit(X, y[:-1])


def test_loaders_and_datasets():
    loader = DataLoader(DATASET, batch_size=10)
    for given in (loader, iter(loader), (batch for batch in loader)):
        with pytest.raises(TypeError, match=r"loader\.dataset.*SliceDataset"):
            net().fit(given, y)
    fitted = net().fit(loader.dataset)
    with pytest.raises(TypeError, match="gives batches"):
        fitted.predict(loader)
    search = GridSearchCV(net(), {"alpha": [0.1]}, cv=2, error_score="raise")
    with pytest.raises(TypeError, match=r"pass SliceDataset\(dataset\)"):
        search.fit(DATASET, y)
    with pytest.raises(TypeError, match=r"pass SliceDataset\(dataset\)"):
        cross_val_score(net(), DATASET, y, cv=2, error_score="raise")
    assert search.fit(SliceDataset(DATASET), y).best_score_ > 0
    assert net().fit([(1.0, 2.0), (3.0, 4.0)], [0, 1]).n_features_in_ == 2


@pytest.mark.parametrize("callbacks", ["disable", None, []])
def test_a_score_for_each_fold(callbacks):
    for data in (X, DATASET):
        trial = optuna.create_study(direction="maximize").ask()
        student = net(callbacks=callbacks)
        scores = pruned_cross_val_score(student, data, y, trial)
        assert scores.shape == (3,) and np.isfinite(scores).all()
