"""A student that was written and read predicts the same, bit for bit."""

import os
import pickle
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safe_file_cases import IMAGES, NAMES, Tied, X, Y, fitted, round_trip
from scipy.sparse import csr_array
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import LRScheduler
from skorch.dataset import ValidSplit
from torch import nn

from skkd import DistilledClassifier, load_student, save_student
from skkd.augment import Compose, RandomCrop, RandomHorizontalFlip
from skkd.losses import DKD
from skkd.students import (
    MLP,
    CifarResNet,
    EfficientNetLite,
    SmallCNN,
    TableMLP,
    torchvision_model,
)

TEXTS = np.array(["a", "bb", "ccc"])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "student.safetensors"


def in_bf16(n_classes, input_shape):
    return MLP(n_classes, input_shape, hidden=(5,)).bfloat16()


def channels_last(n_classes, input_shape):
    network = SmallCNN(n_classes, input_shape, width=4)
    return network.to(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"module": MLP, "module__hidden": (7, 5), "module__dropout": 0.1},
        {"module": MLP(3, (4,), hidden=3)},
        {"module": TableMLP, "module__n_blocks": 2},
        {"module": TableMLP(3, (4,), hidden=3)},
        {"module": in_bf16},
        {"precision": "bf16", "batch_size": 150},
        {"classes": [0, 1, 2], "criterion": nn.NLLLoss, "max_epochs": 0},
        {"predict_nonlinearity": None},
    ],
    ids=", ".join,  # of their names
)
def test_tables(params, path):
    loaded = round_trip(fitted(**params), path)
    check_is_fitted(loaded)
    assert loaded.n_features_in_ == 4
    assert loaded.score(X, Y) > 0


def test_float64_stays_float64(path):
    loaded = round_trip(fitted(), path)
    assert loaded.module_.head.weight.dtype == torch.float64


@pytest.mark.parametrize(
    "params",
    [
        {"module": SmallCNN, "module__width": 4},
        {"module": CifarResNet, "module__depth": 8, "module__width": 4},
        {"module": channels_last},
        {
            "module": torchvision_model,
            "module__name": "mobilenet_v2",
            "module__last_layer": "features.2",
        },
    ],
    ids=lambda params: getattr(params["module"], "__name__", ""),
)
def test_images(params, path):
    student = fitted(X=IMAGES, y=NAMES, **params)
    loaded = round_trip(student, path, IMAGES)
    assert loaded.channels_last_ == student.channels_last_
    assert loaded.classes_.tolist() == sorted({*NAMES})


def test_every_builder_is_known_by_its_network():
    from skkd.students._outline import BUILDERS, builder_of

    built = [
        MLP(2, (3,)),
        SmallCNN(2, (3, 8, 8)),
        TableMLP(2, (3,), [0, 4, 2], n_blocks=2),
        CifarResNet(2, (1, 8, 8), depth=8),
        EfficientNetLite(2, (3, 8, 8)),
        torchvision_model("regnet_y_400mf", 2, (1, 32, 32)),
    ]
    assert [*map(builder_of, built)] == [*BUILDERS]
    changed = MLP(2, (3,))
    changed.body[2] = nn.GELU()
    assert builder_of(changed) is None


@pytest.mark.parametrize("module", [Tied, Tied(3, (4,))], ids=["class", "instance"])
def test_tied_weights_are_stored_once_and_stay_tied(module, path):
    student = fitted(module, X.astype("f4"))
    loaded = round_trip(student, path, X.astype("f4"), module=module)
    assert loaded.module_.one.weight is loaded.module_.two.weight
    assert path.read_bytes().count(b"one.weight") > 0
    assert b"module.two.weight" not in path.read_bytes()


def test_lazy_layers(path):
    def build(n_classes):
        return nn.Sequential(nn.LazyLinear(5), nn.ReLU(), nn.LazyLinear(n_classes))

    round_trip(fitted(build, X.astype("f4")), path, X.astype("f4"), module=build)


def test_transposed_weights_keep_their_layout(path):
    def build(n_classes, input_shape):
        layer = nn.Linear(*input_shape, n_classes)
        layer.weight = nn.Parameter(torch.randn(*input_shape, n_classes).T)
        return nn.Sequential(layer)

    student = fitted(build, X.astype("f4"), max_epochs=0)
    loaded = round_trip(student, path, X.astype("f4"), module=build)
    assert loaded.module_[0].weight.stride() == student.module_[0].weight.stride()


@pytest.mark.parametrize(
    "labels",
    [Y == 1, Y - 1.0, -Y, TEXTS[Y], TEXTS.astype(object)[Y]],
    ids=lambda y: str(y.dtype),
)
def test_labels_keep_their_type(labels, path):
    loaded = round_trip(fitted(y=labels), path)
    assert {*map(type, loaded.classes_)} == {*map(type, np.unique(labels))}


def test_sparse_rows_and_mappings(path):
    round_trip(fitted(X=csr_array(X)), path, csr_array(X))

    class Two(nn.Module):
        def __init__(self, n_classes):
            super().__init__()
            self.head = nn.Linear(4, n_classes)

        def forward(self, a, b):
            return self.head(a + b)

    both = {"a": X.astype("f4"), "b": -X.astype("f4")}
    round_trip(fitted(Two, X=both), path, both, module=Two)


def test_names_of_columns_and_the_scale_of_the_fit_are_still_checked(path):
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(X, columns=[*"abcd"])
    loaded = round_trip(fitted(X=frame), path, frame)
    assert loaded.feature_names_in_.tolist() == [*"abcd"]
    with pytest.raises(ValueError, match="feature names"):
        loaded.predict(frame[[*"abdc"]])
    with pytest.warns(UserWarning, match="another scale"):
        loaded.predict(frame * 100)


def test_a_trimmed_student(path):
    student = fitted(criterion=nn.NLLLoss, module=lambda n_classes: Softmax(n_classes))
    student.trim_for_prediction()
    loaded = round_trip(student, path, module=Softmax)
    with pytest.raises(Exception, match="trimmed for prediction"):
        loaded.fit(X, Y)


class Softmax(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        self.head = nn.Linear(4, n_classes, dtype=torch.float64)

    def forward(self, x):
        return self.head(x).softmax(1)


# What a file describes ----------------------------------------------------------------


def test_fit_and_partial_fit_say_which_parameters_the_file_lacks(path):
    teacher = RandomForestClassifier(20, random_state=0).fit(X, Y)
    student = fitted(teacher=teacher, callbacks=[("lr", LRScheduler())])
    loaded = round_trip(student, path)
    for refused in (loaded.fit, loaded.partial_fit, clone(loaded).fit):
        with pytest.raises(ValueError) as told:
            refused(X, Y)
        assert "teacher (RandomForestClassifier)" in str(told.value)
        assert "student.set_params(callbacks=..., teacher=...)" in str(told.value)
    assert repr(loaded.teacher_) == "<not stored: RandomForestClassifier>"
    loaded.set_params(teacher=teacher, callbacks=[("lr", LRScheduler())])
    np.testing.assert_array_equal(
        loaded.fit(X, Y).predict_proba(X), student.predict_proba(X)
    )


def test_what_the_file_lacks_can_be_passed(path):
    teacher = RandomForestClassifier(20, random_state=0).fit(X, Y)
    save_student(fitted(teacher=teacher), path)
    loaded = load_student(path, teacher=teacher, max_epochs=2)
    assert loaded.teacher is teacher
    before = loaded.score(X, Y)
    assert loaded.partial_fit(X, Y).score(X, Y) >= before
    with pytest.raises(TypeError, match="techer=1"):
        load_student(path, techer=1)


def test_parameters_of_torch_and_skkd_are_stored(path):
    params = {
        "optimizer": torch.optim.SGD,
        "optimizer__momentum": 0.9,
        "distillation": DKD(alpha=2.0),
        "class_weight": {0: 1.0, 1: 2.0, 2: 0.5},
        "augment": Compose([RandomHorizontalFlip(), RandomCrop(1)]),
        "lr": np.float32(0.1),
    }
    weights = {name: 1.0 for name in np.unique(NAMES)}
    student = fitted(SmallCNN, IMAGES, NAMES, **{**params, "class_weight": weights})
    loaded = round_trip(student, path, IMAGES)
    kept = loaded.get_params()
    for name in ("optimizer", "optimizer__momentum", "class_weight", "lr"):
        assert kept[name] == student.get_params()[name]
    for name in ("distillation", "augment"):
        assert repr(kept[name]) == repr(params[name])


def test_the_history_of_epochs_is_there(path):
    student = fitted(max_epochs=3, train_split=ValidSplit(3))
    loaded = round_trip(student, path)
    for column in ("epoch", "train_loss", "valid_loss", "valid_acc_best"):
        assert loaded.history[:, column] == student.history[:, column]


def test_functions_that_predictions_need_are_asked_for(path):
    def halved(logits):
        return logits / 2

    student = fitted(predict_nonlinearity=halved)
    save_student(student, path)
    with pytest.raises(ValueError, match=r"predict_nonlinearity \(halved\)"):
        load_student(path)
    round_trip(student, path, predict_nonlinearity=halved)


def test_of_a_search_the_best_student_is_saved(path):
    search = GridSearchCV(DistilledClassifier(max_epochs=1), {"lr": [0.1]}, cv=2)
    assert isinstance(round_trip(search.fit(X, Y), path), DistilledClassifier)


# What cannot be saved -----------------------------------------------------------------


def test_what_is_no_fitted_student_is_refused(path):
    with pytest.raises(NotFittedError, match="call fit"):
        save_student(DistilledClassifier(), path)
    with pytest.raises(NotFittedError, match="call fit"):
        save_student(DistilledClassifier(classes=[0, 1], module=Softmax), path)
    with pytest.raises(TypeError, match="got a RandomForestClassifier"):
        save_student(RandomForestClassifier(), path)


def test_state_that_is_no_tensor_is_refused(path):
    class Extra(Softmax):
        def get_extra_state(self):
            return {"seen": 3}

        def set_extra_state(self, state):
            pass

    with pytest.raises(ValueError, match="_extra_state"):
        save_student(fitted(Extra, criterion=nn.NLLLoss), path)
    assert not path.exists()


def test_a_network_that_remembers_outside_of_its_buffers_is_refused(path):
    class Remembering(Softmax):
        factor = 1.0

        def forward(self, x):
            return self.head(x) * self.factor

    student = fitted(Remembering)
    student.module_.factor = 2.0
    with pytest.raises(ValueError, match="Register buffers"):
        save_student(student, path)
    assert not path.exists()


# Writing ------------------------------------------------------------------------------


def test_the_same_student_gives_the_same_bytes(path):
    save_student(fitted(), path)
    first = path.read_bytes()
    save_student(load_student(path), path)
    assert path.read_bytes() == first


def test_an_interrupted_write_leaves_the_old_file(path, monkeypatch):
    save_student(fitted(), path)
    before = path.read_bytes()

    def fails(*args):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "replace", fails)
    with pytest.raises(OSError, match="no space"):
        save_student(fitted(max_epochs=2), path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_a_killed_write_leaves_the_old_file(tmp_path):
    script = """if True:
        import os, signal, sys
        from skkd._utils.atomic import new_file
        with new_file(sys.argv[1]) as temporary:
            temporary.write_bytes(b"new")
            os.fsync = lambda file: os.kill(os.getpid(), signal.SIGKILL)
    """
    path = tmp_path / "file"
    path.write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", script, path], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"


def test_nothing_is_unpickled(path, monkeypatch):
    save_student(fitted(), path)

    def refuse(*args, **kwargs):
        raise AssertionError("unpickled")

    for owner, name in ((pickle, "loads"), (pickle, "load"), (torch, "load")):
        monkeypatch.setattr(owner, name, refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    load_student(path)
