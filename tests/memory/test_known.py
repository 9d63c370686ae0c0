"""What is computed once: seen again if nothing changed, and never if anything did."""

import copy

import numpy as np
import pytest
import torch
from counted_teachers import CountedObject, nb, student
from sklearn.datasets import load_iris
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skkd.augment import RandomHorizontalFlip
from skkd.memory import _known
from skkd.memory._fingerprint import fingerprint
from skkd.memory._known import known_fingerprint, known_row_keys, quick_hash
from skkd.memory._row_keys import row_keys
from skkd.teachers import as_teacher

X, y = load_iris(return_X_y=True)
X = X.astype(np.float32)


class Net(nn.Module):
    """A network whose class may be changed."""

    scale = 1.0

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 40), nn.ReLU(), nn.BatchNorm1d(40))
        self.head = nn.Linear(40, 3)
        self.shared = np.ones(3, dtype=np.float32)
        self.register_buffer("offset", torch.from_numpy(self.shared))
        self.settings = {"rates": [1, 2]}

    def forward(self, x):
        return self.scale * self.head(self.body(x)) + self.offset


def network():
    torch.manual_seed(0)
    return Net()


def forest():
    return RandomForestClassifier(5, random_state=0).fit(X, y)


def pipeline():
    return make_pipeline(StandardScaler(), SGDClassifier(loss="log_loss")).fit(X, y)


def skorch_net():
    net = NeuralNetClassifier(Net, criterion=nn.CrossEntropyLoss, verbose=0)
    return net.initialize()


def load_other_weights(net):
    net.load_state_dict(Net().state_dict())


def write_to_data(net):
    net.head.weight.data[0, 0] += 1e-3


def write_by_numpy(net):
    net.head.weight.detach().numpy()[2, 39] *= 2


def write_to_shared_array(net):
    net.shared[1] = 7


def negate_data(net):
    net.head.weight.data.neg_()


def swap_two_rows(net):
    net.head.weight.data = net.head.weight.data[[1, 0, 2]]


def resize_leaf(net):
    net.body[2].running_var.resize_(20)


OF_NETWORKS = [
    load_other_weights,
    write_to_data,
    write_by_numpy,
    write_to_shared_array,
    negate_data,
    swap_two_rows,
    resize_leaf,
    lambda net: setattr(net, "head", nn.Linear(40, 3)),
    lambda net: net.body.insert(1, nn.Tanh()),
    lambda net: setattr(net.body[2], "eps", 0.1),
    lambda net: net.body[2](torch.zeros(2, 40)),  # running statistics, in train mode
    lambda net: net.settings["rates"].append(3),
    lambda net: net.half(),
    lambda net: net.register_forward_hook(nn.Identity()),
    lambda net: setattr(net.head, "bias", None),
    lambda net: setattr(net, "forward", nn.functional.relu),
]


def write_into_tree(model):
    model.estimators_[-1].tree_.value[0, 0, 0] += 1


def write_into_coefficients(model):
    model[-1].coef_[1, 1] *= -1


OF_OTHERS = [
    (forest, write_into_tree),
    (forest, lambda model: model.estimators_.reverse()),
    (forest, lambda model: model.set_params(n_estimators=6)),
    (forest, lambda model: setattr(model, "classes_", model.classes_[::-1])),
    (pipeline, write_into_coefficients),
    (pipeline, lambda model: model[-1].partial_fit(model[0].transform(X[:9]), y[:9])),
    (pipeline, lambda model: model[0].mean_.__setitem__(3, 0)),
    (pipeline, lambda model: model.steps.insert(1, ("again", model[0]))),
    (nb, lambda model: model.theta_.__setitem__((0, 0), 9)),
    (skorch_net, lambda net: net.module_.head.weight.data.mul_(2)),
    (skorch_net, lambda net: net.set_params(batch_size=1)),
    (lambda: [network(), forest()], lambda models: write_into_tree(models[1])),
    (CountedObject, lambda model: setattr(model, "scale", 2.0)),
]
CHANGES = [(network, change) for change in OF_NETWORKS] + OF_OTHERS


@pytest.mark.parametrize("number", range(len(CHANGES)))
def test_a_teacher_that_changes_in_place(number):
    make, change = CHANGES[number]
    model = make()
    before, content = known_fingerprint(as_teacher(model)), fingerprint(model)
    assert known_fingerprint(as_teacher(model)) == before
    assert quick_hash(as_teacher(model)) is not None
    change(model)
    assert fingerprint(model) != content  # it is another teacher
    assert known_fingerprint(as_teacher(model)) == fingerprint(as_teacher(model))
    assert known_fingerprint(as_teacher(model)) != before


@pytest.mark.parametrize("name", ["scale", "forward", "new"])
def test_a_class_that_changes(name, monkeypatch):
    net = network()
    before = known_fingerprint(net)
    value = 2.0 if name == "scale" else lambda self, x: -x
    monkeypatch.setattr(Net, name, value, raising=False)
    assert known_fingerprint(net) == fingerprint(net) != before


def test_a_function_inside_of_a_teacher_that_changes(monkeypatch):
    net = network()
    net.activation = write_to_data
    before = known_fingerprint(net)
    monkeypatch.setattr(write_to_data, "__code__", write_by_numpy.__code__)
    assert known_fingerprint(net) == fingerprint(net) != before


@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "uint8", "float16"])
@pytest.mark.parametrize("size", [3, 2049, 5000, 70_001])
def test_each_number_and_each_sign_counts(dtype, size):
    array = np.random.default_rng(0).integers(1, 100, size).astype(dtype)
    seen = {quick_hash(array)}
    places = sorted({0, 1, size // 2, size - 2, size - 1})
    for i in places:
        changed = array.copy()
        changed[i] += 1
        seen |= {quick_hash(changed), quick_hash(torch.from_numpy(changed))}
    assert len(seen) == 1 + 2 * len(places)
    if dtype != "uint8":
        for part in (slice(None), slice(0, 2), slice(1, None, 2), slice(0, None, 4)):
            changed = array.copy()
            changed[part] *= -1
            seen.add(quick_hash(changed))
        assert len(seen) == 1 + 2 * len(places) + 4
    others = array.reshape(-1, 1), array.copy().view(f"V{array.itemsize}")
    assert not {quick_hash(other) for other in others} & seen


def test_a_copy_is_the_same_teacher():
    models = [network(), forest(), pipeline(), nb(), KNeighborsClassifier().fit(X, y)]
    models.append(HistGradientBoostingClassifier(max_iter=3).fit(X, y))
    for model in models:
        twin = copy.deepcopy(model)
        assert fingerprint(twin) == known_fingerprint(model) == known_fingerprint(twin)


def test_what_cannot_be_looked_through_is_hashed_as_before(monkeypatch):
    class Hiding:
        def __getstate__(self):
            return {}

    hiding = Hiding()
    hiding.value = 1
    assert quick_hash(hiding) is None
    before = known_fingerprint(hiding)
    hiding.value = 2
    assert known_fingerprint(hiding) == fingerprint(hiding) != before


def test_a_teacher_that_another_thread_trains_meanwhile(monkeypatch):
    net, function = network(), fingerprint

    def interrupted(content):
        write_to_data(net)
        return function(content)

    before = quick_hash(net)
    with monkeypatch.context() as patch:
        patch.setattr(_known, "fingerprint", interrupted)
        known_fingerprint(net)
    twin = network()
    assert quick_hash(twin) == before != quick_hash(net)
    assert known_fingerprint(twin) == fingerprint(twin)


def count_calls(monkeypatch, name):
    calls, function = [], getattr(_known, name)
    monkeypatch.setattr(_known, name, lambda x: calls.append(1) or function(x))
    return calls


def test_a_search_computes_fingerprints_and_keys_once(monkeypatch):
    of_teachers = count_calls(monkeypatch, "fingerprint")
    of_rows = count_calls(monkeypatch, "row_keys")
    grid = {"temperature": [1, 2, 4]}
    rows = X + np.float32(0.5)  # that no other test has
    teacher = RandomForestClassifier(3, random_state=9).fit(X, y)
    GridSearchCV(student(teacher), grid, cv=2, error_score="raise").fit(rows, y)
    assert len(of_teachers) == 1
    assert len(of_rows) == 3  # two folds and the refit


def test_views_share_the_fingerprint_of_the_teacher(monkeypatch):
    images = np.random.default_rng(1).integers(0, 256, (20, 1, 4, 4), dtype=np.uint8)
    torch.manual_seed(1)
    teacher, twin = (nn.Sequential(nn.Flatten(), nn.Linear(16, 3)) for _ in range(2))
    of_teachers = count_calls(monkeypatch, "fingerprint")
    views = {"augment": RandomHorizontalFlip(), "n_views": 3}
    net = student(teacher, module=twin, **views)
    net.fit(images.astype(np.float32), np.arange(20) % 3)
    assert len(of_teachers) == 1
    assert net.cache_info_.misses == 60


@pytest.mark.parametrize(
    "other",
    [
        lambda x: np.float32(2) * x,
        lambda x: x[::-1],
        lambda x: x.astype(np.float64),
        lambda x: x.reshape(-1, 2, 2),
        lambda x: x.view(np.int32),
        lambda x: -x,
    ],
)
def test_keys_of_other_rows(other):
    rows = X.copy()
    keys = known_row_keys(rows)[0]
    changed = other(rows)
    for found, wanted in zip(known_row_keys(changed), row_keys(changed), strict=True):
        assert np.array_equal(found, wanted)
    rows[7, 2] += 1
    assert np.array_equal(known_row_keys(rows)[0], row_keys(rows)[0])
    assert not np.array_equal(known_row_keys(rows)[0], keys)


def test_keys_of_objects_and_masks_are_not_remembered():
    words = np.array([["a"], ["b"]], dtype=object)
    masked = np.ma.masked_less(X[:3], 1)
    for rows in (words, masked, X[:3].tolist()):
        assert np.array_equal(known_row_keys(rows)[0], row_keys(rows)[0])
