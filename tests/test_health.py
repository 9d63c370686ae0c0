"""Findings about a teacher: each is seen where it is, and nowhere else."""

import copy

import numpy as np
import pytest
import torch
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import scale
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skkd import DistilledClassifier, TeacherWarning
from skkd.augment import RandomHorizontalFlip
from skkd.memory import LogitMemory
from skkd.teachers import Finding, as_teacher, check_health
from skkd.teachers.health._evidence import (
    evidence_of_decisions,
    evidence_of_ranks,
    find_permutation,
)
from skkd.teachers.health._findings import examine, sample_rows
from skkd.teachers.health._networks import untrained_head

X, y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)[:600]
y = y[:600]
CLASSES = np.arange(10)


@pytest.fixture(scope="module")
def teacher():
    return LogisticRegression(max_iter=500).fit(X, y)


def codes_of(findings):
    return [finding.code for finding in findings]


class Small(nn.Module):
    """Smaller than any teacher in here."""

    def __init__(self, n_classes, input_shape):
        super().__init__()
        self.n_inputs = min(8, *input_shape)
        self.linear = nn.Linear(self.n_inputs, n_classes)

    def forward(self, x):
        return self.linear(x.flatten(1)[:, -self.n_inputs :])


def student(teacher=None, **params):
    # Warm enough that what is left of other classes counts.
    params = {"temperature": 4, "max_epochs": 1, "random_state": 0, **params}
    params = {"device": "cpu", **params}
    return DistilledClassifier(Small, teacher=teacher, **params)


def state(module):
    return [value.clone() for value in module.state_dict().values()]


def equal(one, other):
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


class Net(nn.Module):
    def __init__(self, n_inputs=64, n_outputs=10, dropout=0.0):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_inputs, 32), nn.ReLU(), nn.Dropout(dropout)
        )
        self.head = nn.Linear(32, n_outputs)

    def forward(self, x):
        return self.head(self.body(x))


def net(module=Net, **params):
    return NeuralNetClassifier(
        module,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.01,
        verbose=0,
        train_split=None,
        **{"max_epochs": 20, **params},
    )


@pytest.fixture(scope="module")
def trained():
    torch.manual_seed(0)
    return net().fit(X, y)


def fresh_net():
    torch.manual_seed(0)
    return Net()


def linear(teacher, columns=slice(None), function=None):
    """The teacher as a function, its columns mixed up or its logits changed."""
    weight, bias = teacher.coef_.T, teacher.intercept_

    def say(X):
        logits = (np.asarray(X, np.float64) @ weight + bias)[:, columns]
        return logits if function is None else function(logits)

    return say


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


SWAPPED = [0, 1, 5, 3, 4, 2, 6, 7, 8, 9]
SHUFFLED = [3, 1, 4, 5, 9, 2, 6, 8, 7, 0]


def noise(X):
    """Logits that depend on the row, and have nothing to do with its class."""
    mixed = np.asarray(X, np.float64) @ np.random.RandomState(1).randn(X.shape[1], 10)
    return np.sin(1e5 * mixed)


def dead(X):
    return np.tile(np.arange(10.0), (len(X), 1))


def unlearnt(teacher):
    return fresh_net().eval()


def forgetful(trained):
    """A trained body under a head as it was drawn."""
    module = copy.deepcopy(trained.module_)
    torch.manual_seed(1)
    module.head = nn.Linear(32, 10)
    return module.eval()


def dropping(trained):
    module = Net(dropout=0.5)
    module.load_state_dict(trained.module_.state_dict())
    return module.train()


def new_head(trained):
    """As transformers draws it."""
    module = forgetful(trained)
    nn.init.normal_(module.head.weight, std=0.02)
    nn.init.zeros_(module.head.bias)
    return module


SICK = {
    "noise": ("chance-level", lambda lr, net: noise),
    "list of noise": ("chance-level", lambda lr, net: [noise, noise]),
    "scikit-learn on other labels": (
        "chance-level",
        lambda lr, net: LogisticRegression(max_iter=500).fit(
            X, np.random.RandomState(0).permutation(y)
        ),
    ),
    "module": ("random-head", lambda lr, net: fresh_net().eval()),
    "new head": ("random-head", lambda lr, net: forgetful(net)),
    "transformers' head": ("random-head", lambda lr, net: new_head(net)),
    "skorch net": ("random-head", lambda lr, net_: net(max_epochs=0).fit(X, y)),
    "two columns": ("permuted-classes", lambda lr, net: linear(lr, SWAPPED)),
    "all columns": ("permuted-classes", lambda lr, net: linear(lr, SHUFFLED)),
    "names": ("permuted-classes", lambda lr, net: as_teacher(lr, classes=SHUFFLED)),
    "softmax": (
        "probabilities-as-logits",
        lambda lr, net: linear(lr, function=softmax),
    ),
    "sigmoids": (
        "not-probabilities",
        lambda lr, net: as_teacher(linear(lr, function=sigmoid), output="proba"),
    ),
    "train mode": ("train-mode", lambda lr, net: dropping(net)),
    "one of a list": ("train-mode", lambda lr, net: [dropping(net), lr]),
    "dead": ("constant-output", lambda lr, net: dead),
    "tree": ("saturated", lambda lr, net: DecisionTreeClassifier().fit(X, y)),
    "1-NN": ("saturated", lambda lr, net: KNeighborsClassifier(1).fit(X, y)),
    "sure": ("saturated", lambda lr, net: linear(lr, function=lambda z: 50 * z)),
}


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("name", SICK)
def test_a_sick_teacher_is_found(name, teacher, trained):
    code, make = SICK[name]
    sick = make(teacher, trained)
    with pytest.warns(TeacherWarning, match=rf"^\[{code}\]") as caught:
        found = check_health(sick, X, y, temperature=4)
    assert set(codes_of(found)) == {code}
    assert [str(w.message) for w in caught] == [str(finding) for finding in found]
    assert caught[0].filename == __file__
    with pytest.warns(TeacherWarning, match=rf"^\[{code}\]") as caught:
        fitted = student(sick).fit(X, y)
    assert codes_of(fitted.teacher_findings_) == [code]
    assert caught[0].filename == __file__


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
@pytest.mark.parametrize("name", SICK)
def test_strict_raises_before_training(name, teacher, trained):
    code, make = SICK[name]
    sick = make(teacher, trained)
    with pytest.raises(ValueError, match=rf"^\[{code}\]"):
        check_health(sick, X, y, temperature=4, strict=True)
    untouched = student(sick, max_epochs=0, alpha=0).fit(X, y)
    strict = student(sick, strict=True)
    with pytest.raises(ValueError, match=rf"^\[{code}\]"):
        strict.fit(X, y)
    assert not len(strict.history)
    assert equal(state(strict.module_), state(untouched.module_))


@pytest.mark.parametrize("train", [True, False])
def test_modules_are_left_as_they_were(train, trained):
    sick = dropping(trained).train(train)
    nn.init.zeros_(sick.head.weight)
    before = state(sick)
    with pytest.warns(TeacherWarning) as caught:
        check_health(sick, X, y)
        student(sick).fit(X, y)
    assert len(caught) == 2 * (1 + train)
    with pytest.raises(ValueError, match="constant-output"):
        student(sick, strict=True).fit(X, y)
    assert sick.training == train
    assert equal(before, state(sick))


def test_what_is_not_finite_is_a_finding_not_a_crash():
    with pytest.warns(TeacherWarning, match=r"\[non-finite\].* in 600 of 600 rows"):
        found = check_health(lambda X: np.full((len(X), 10), np.nan), X, y)
    assert codes_of(found) == ["non-finite"]
    logits = np.zeros((40, 10))
    logits[3, 4] = np.inf
    found = examine(logits, np.arange(40) % 10, classes=CLASSES)
    assert "1 of 40" in found[0].message


def test_all_findings_are_raised_together(teacher, trained):
    with pytest.raises(ValueError, match=r"\[train-mode\][^$]*\n\[constant-output\]"):
        module = dropping(trained)
        nn.init.zeros_(module.head.weight)
        check_health(module, X, y, strict=True)


# Permutations ------------------------------------------------------------------


@pytest.mark.parametrize("columns", [SWAPPED, SHUFFLED])
def test_the_classes_that_are_named_mend_it(columns, teacher):
    say = linear(teacher, columns)
    with pytest.raises(ValueError, match="permuted-classes") as error:
        check_health(say, X, y, strict=True)
    named = str(error.value).split("classes=")[1].split(")")[0]
    assert eval(named) == columns
    assert check_health(as_teacher(say, classes=columns), X, y) == []


def test_named_columns_are_named_anew(teacher):
    names = np.array(list("abcdefghij"))
    wrong = as_teacher(teacher, classes=names[SWAPPED])
    with pytest.warns(TeacherWarning, match="permuted") as caught:
        check_health(wrong, X, names[y])
    named = str(caught[0].message).split("classes=")[1].split(")")[0]
    assert eval(named) == names.tolist()


def test_the_columns_of_logits_are_reordered(teacher):
    logits = linear(teacher, SHUFFLED)(X)
    with pytest.warns(TeacherWarning, match=r"permuted.*teacher_logits\[:,") as caught:
        student().fit(X, y, teacher_logits=logits)
    order = eval(str(caught[0].message).split("teacher_logits[:, ")[1][:-2])
    assert np.array_equal(logits[:, order], linear(teacher)(X))


def test_two_classes_may_be_swapped():
    X2, y2 = load_breast_cancer(return_X_y=True)
    forest = RandomForestClassifier(20, random_state=0).fit(X2[::2], y2[::2])
    with pytest.warns(TeacherWarning, match=r"permuted.*classes=\[0, 1\]"):
        check_health(as_teacher(forest, classes=[1, 0]), X2, y2)


def test_a_teacher_that_confuses_two_classes_is_not_permuted():
    rng = np.random.RandomState(0)
    y_encoded = np.repeat(CLASSES, 1000)
    decisions = y_encoded.copy()
    for true, taken in [(3, 5), (5, 3)]:
        rows = np.flatnonzero(y_encoded == true)
        decisions[rng.choice(rows, 550, replace=False)] = taken  # 55 of 100
    assert find_permutation(decisions, y_encoded, 10) is None


def test_many_classes_with_few_rows():
    y_encoded = np.repeat(np.arange(100), 5)
    rng = np.random.RandomState(0)
    right = rng.rand(500) < 0.8
    decisions = np.where(right, y_encoded, rng.randint(0, 100, 500))
    assert find_permutation(decisions, y_encoded, 100) is None
    order = rng.permutation(100)
    found = find_permutation(order[decisions], y_encoded, 100)
    assert (found[order] == np.arange(100)).mean() > 0.95


@pytest.mark.parametrize("wrap", [as_teacher, lambda teacher: teacher])
def test_the_remedy_is_for_a_teacher_that_is_wrapped_already(wrap, teacher):
    say = linear(teacher, SWAPPED)
    with pytest.raises(ValueError, match=r"as_teacher\(model, .* model is say its"):
        check_health(wrap(say), X, y, strict=True)
    message = r"as_teacher\(say\) is a Teacher already.* as_teacher\(model, classes="
    with pytest.raises(ValueError, match=message):
        as_teacher(as_teacher(say), classes=SWAPPED)
    mended = as_teacher(as_teacher(say).model, classes=SWAPPED)
    assert check_health(mended, X, y) == []


@pytest.mark.parametrize("transform", [None, torch.clone])
def test_columns_that_are_dropped_are_not_looked_at(transform, trained):
    class Sure(nn.Module):
        """Of classes that the rows do not have."""

        def forward(self, x):
            return trained.module_(x) + 1000.0 * (torch.arange(10) >= 3)

    options = {"classes": CLASSES, "extra_classes": "drop", "transform": transform}
    few = y < 3
    assert check_health(as_teacher(Sure().eval(), **options), X[few], y[few]) == []


# Healthy teachers --------------------------------------------------------------

DATA = {
    "iris": load_iris,
    "digits": load_digits,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
}
HEALTHY = {
    "logistic": LogisticRegression,
    "forest": lambda: RandomForestClassifier(50, random_state=0),
    "svc": SVC,
    "calibrated svc": lambda: CalibratedClassifierCV(SVC(), cv=2),
    "neighbours": KNeighborsClassifier,
    "mlp": lambda: MLPClassifier(max_iter=500, random_state=0),
    "net": net,
    "module": net,
}


def clean_data(name, part):
    X, y = DATA[name](return_X_y=True)
    X = scale(X).astype(np.float32)
    if part == "tenth":
        X, _, y, _ = train_test_split(X, y, train_size=0.1, stratify=y, random_state=0)
    return X, y


@pytest.mark.filterwarnings("ignore:Stochastic Optimizer")
@pytest.mark.parametrize("part", ["whole", "tenth"])
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_teacher_gives_no_finding(name, data, part):
    X, y = clean_data(data, part)
    if name in ("net", "module"):
        torch.manual_seed(0)
        healthy = net(module__n_inputs=X.shape[1], module__n_outputs=y.max() + 1)
        labels = y
    else:
        healthy, labels = HEALTHY[name](), np.array([f"class {c}" for c in y])
    healthy.fit(X, labels)
    if name == "module":
        healthy = healthy.module_.eval()
    assert check_health(healthy, X, labels) == []
    assert student(healthy).fit(X, labels).teacher_findings_ == []


def test_few_rows_prove_nothing():
    assert check_health(noise, X[:29], y[:29]) == []
    assert check_health(fresh_net().eval(), X[:29], y[:29]) == []
    assert check_health(linear_of_one_class, X[:29], y[:29] == 0) == []


@pytest.mark.parametrize("value", [1.0, -3.0])
@pytest.mark.parametrize("kind", ["module", "sklearn", "saturated"])
def test_of_one_class_there_is_nothing_to_find(kind, value):
    one = np.full(len(X), 4)
    if kind == "sklearn":
        lone = GaussianNB().fit(X, one)
    elif kind == "module":
        lone = nn.Linear(64, 1).requires_grad_(False)
        nn.init.zeros_(lone.weight)
        nn.init.constant_(lone.bias, value)
    else:
        lone = as_teacher(GaussianNB().fit(X, y), extra_classes="drop")
    assert check_health(lone, X, one) == []
    assert student(lone).fit(X, one).teacher_findings_ == []


def test_a_teacher_of_several_classes_is_looked_at_on_one():
    with pytest.warns(TeacherWarning, match="constant-output"):
        check_health(as_teacher(dead, classes=CLASSES), X, np.full(len(X), 4))


@pytest.mark.parametrize("declared", [None, CLASSES])
def test_without_rows_there_is_nothing_to_ask(declared, teacher):
    for one in (teacher, fresh_net().eval(), [teacher, noise]):
        with pytest.raises(ValueError, match="X has no rows: expected some"):
            check_health(one, X[:0], y[:0], classes=declared)


def linear_of_one_class(X):
    return np.column_stack([X[:, 20], -X[:, 20]])


def weak(n, k, strength, seed, prior=None):
    rng = np.random.RandomState(seed)
    y_encoded = rng.choice(k, n, p=prior)
    logits = rng.randn(n, k)
    logits[np.arange(n), y_encoded] += strength
    return logits, y_encoded


@pytest.mark.parametrize("n, k", [(12, 2), (50, 2), (50, 3), (150, 10), (500, 100)])
def test_a_weak_teacher_is_useful(n, k):
    alarms = 0
    for seed in range(40):
        logits, y_encoded = weak(n, k, 0.5, seed)  # right in 64 of 100 for two classes
        alarms += len(examine(logits, y_encoded, classes=np.arange(k)))
    assert alarms == 0


@pytest.mark.parametrize("n, k, least", [(150, 3, 20), (1000, 2, 32), (500, 100, 24)])
def test_noise_is_found_where_rows_suffice(n, k, least):
    found = [
        examine(*weak(n, k, 0.0, seed), classes=np.arange(k)) for seed in range(40)
    ]
    assert sum(codes_of(f) == ["chance-level"] for f in found) >= least


def test_a_teacher_that_never_answers_the_rare_class_may_know_it():
    prior = np.array([0.95, 0.05])
    logits, y_encoded = weak(1000, 2, 1.0, 0, prior)
    logits += 2 * np.log(prior)
    assert (logits.argmax(axis=1) == 0).mean() > 0.99
    assert examine(logits, y_encoded, classes=[0, 1]) == []


def test_a_teacher_of_balanced_classes_is_healthy_though_less_accurate():
    logits, y_encoded = weak(1000, 2, 1.0, 0, [0.95, 0.05])
    assert (logits.argmax(axis=1) == y_encoded).mean() < 0.9
    assert examine(logits, y_encoded, classes=[0, 1]) == []


def test_a_poor_teacher_is_worse_than_the_most_frequent_class():
    logits, y_encoded = weak(1000, 3, 0.3, 0, [0.6, 0.3, 0.1])
    (found,) = examine(logits, y_encoded, classes=[0, 1, 2])
    assert found.code == "below-majority"
    share = (y_encoded == 0).mean()
    assert f"most frequent class has {share:.3g}" in found.message


def test_unlabelled_rows_do_not_count(teacher):
    partly = np.where(np.arange(len(y)) % 2 == 0, y, -1)
    assert student(teacher, unlabeled=-1).fit(X, partly).teacher_findings_ == []
    with pytest.warns(TeacherWarning, match="chance-level.* on 300 labelled .* 10 cl"):
        student(noise, unlabeled=-1).fit(X, partly)
    scarce = np.where(np.arange(len(y)) < 20, y, -1)
    kwargs = {"unlabeled": -1, "classes": CLASSES}
    assert student(noise, **kwargs).fit(X, scarce).teacher_findings_ == []


# Softness ----------------------------------------------------------------------


def test_what_is_saturated_depends_on_temperature_and_loss(teacher):
    sure = linear(teacher, function=lambda z: 30 * z)
    with pytest.warns(TeacherWarning, match="At temperature 2,"):
        check_health(sure, X, y, temperature=2)
    assert check_health(sure, X, y, temperature=1) == []  # nothing soft was asked for
    assert check_health(sure, X, y, temperature=100) == []
    for distillation in ["hard", "mse"]:
        fitted = student(sure, temperature=2, distillation=distillation).fit(X, y)
        assert fitted.teacher_findings_ == []


def test_a_tree_is_soft_out_of_fold_no_more_than_on_its_rows():
    tree = DecisionTreeClassifier(random_state=0)
    with pytest.warns(TeacherWarning, match="saturated"):
        student(tree, teacher_cv=3).fit(X, y)


# In the estimator --------------------------------------------------------------


def test_probabilities_that_are_passed_as_logits(teacher):
    with pytest.warns(TeacherWarning, match=r"teacher_logits.*np\.log"):
        student().fit(X, y, teacher_logits=teacher.predict_proba(X))


def test_clones_that_learn_nothing():
    shuffled = np.random.RandomState(0).permutation(y)
    lone = student(LogisticRegression(max_iter=500), teacher_cv=3)
    with pytest.warns(TeacherWarning, match=r"chance-level.*LogisticRegression"):
        lone.fit(X, shuffled)
    assert lone.fit(X, y).teacher_findings_ == []


@pytest.mark.parametrize("teacher_cv", [3, None])
def test_scores_of_clones_are_no_probabilities(teacher_cv):
    partly = np.where(np.arange(len(y)) % 5 == 0, -1, y)
    lone = student(SVC(), teacher_cv=teacher_cv, unlabeled=-1)
    assert lone.fit(X, partly).teacher_findings_ == []
    pair = student([SVC(), GaussianNB()], teacher_cv=teacher_cv, unlabeled=-1)
    assert pair.fit(X, partly).teacher_findings_ == []


class Sigmoids(LogisticRegression):
    def predict_proba(self, X):
        return sigmoid(self.decision_function(X))


def test_clones_may_give_what_are_no_probabilities():
    lone = student(Sigmoids(max_iter=500), teacher_cv=3)
    with pytest.warns(TeacherWarning, match="not-probabilities.* of 3 members"):
        lone.fit(X, y)


def test_alpha_0_needs_no_healthy_teacher():
    assert student(noise, alpha=0, strict=True).fit(X, y).teacher_findings_ == []


def test_no_row_is_asked_about_twice(teacher):
    asked = []

    def say(X):
        asked.append(len(X))
        return linear(teacher)(X)

    student(say).fit(X, y)
    assert asked == [len(X)]


class Shift(nn.Module):
    def forward(self, x):
        return x + torch.rand(len(x), 1, device=x.device) / 100


def test_a_live_teacher_is_asked_about_plain_rows(teacher):
    asked = []

    def say(X):
        asked.append(X)
        return noise(X)

    with pytest.warns(TeacherWarning, match="chance-level.* 200 labelled rows"):
        student(say, augment=Shift()).fit(X, y)
    assert np.isin(asked[0][:, 10], X[:, 10]).all()
    with pytest.raises(ValueError, match="chance-level"):
        student(noise, augment=Shift(), strict=True).fit(X, y)


@pytest.mark.parametrize("seed", [0, None])
def test_asking_a_live_teacher_draws_nothing(seed, trained, monkeypatch):
    module = dropping(trained).eval()
    weights = []
    for ask in [True, False]:
        if not ask:
            monkeypatch.setattr(
                "skkd._estimator.taught.check_teacher_outputs", lambda *_, **__: []
            )
        torch.manual_seed(3)
        fitted = student(module, augment=Shift(), random_state=seed).fit(X, y)
        weights.append(state(fitted.module_))
    assert equal(*weights)


def test_a_live_teacher_that_takes_views_only_is_left_alone(teacher):
    def crop(x):
        return x[:, 4:]

    narrow = LogisticRegression(max_iter=500).fit(X[:, 4:], y)

    fitted = student(narrow, augment=crop).fit(X, y)
    assert fitted.teacher_findings_ == []


def test_views_and_coded_memories_are_looked_at(teacher):
    images = X.reshape(-1, 1, 8, 8)

    def say(X):
        return noise(np.reshape(X, (len(X), -1)))

    with pytest.warns(TeacherWarning, match="chance-level"):
        student(say, augment=RandomHorizontalFlip(), n_views=2).fit(images, y)
    memory = LogitMemory(dtype="float16", top_k=3)
    assert student(teacher, memory=memory).fit(X, y).teacher_findings_ == []


def test_a_search_says_the_same_of_the_same_rows(teacher):
    sick = student(linear(teacher, SWAPPED))
    search = GridSearchCV(sick, {"alpha": [0.3, 0.6, 0.9]}, cv=2, refit=False)
    with pytest.warns(TeacherWarning) as caught:
        search.fit(X, y)
    assert len(caught) == 6
    assert len({str(warning.message) for warning in caught}) == 2


# The parts ---------------------------------------------------------------------


def test_the_evidence_is_what_shuffled_labels_show():
    rng = np.random.RandomState(0)
    y_encoded = rng.choice(3, 90, p=[0.6, 0.3, 0.1])
    scores = rng.rand(90, 3) + 0.2 * np.eye(3)[y_encoded]
    decisions = scores.argmax(axis=1)

    def recall(y_encoded):
        share = (np.bincount(decisions, minlength=3) / 90).sum() / 3
        return (balanced_accuracy_score(y_encoded, decisions) - share) / (1 - 1 / 3)

    def area(y_encoded):
        areas = []
        for c in range(3):
            own, rest = scores[y_encoded == c, c], scores[y_encoded != c, c]
            areas.append((own[:, None] > rest).mean())
        return 2 * np.mean(areas) - 1

    areas = [roc_auc_score(y_encoded == c, scores[:, c]) for c in range(3)]
    assert area(y_encoded) == pytest.approx(2 * np.mean(areas) - 1)

    found = (
        evidence_of_decisions(decisions, y_encoded),
        evidence_of_ranks(scores, y_encoded),
    )
    for evidence, statistic in zip(found, (recall, area), strict=True):
        assert evidence.gain == pytest.approx(statistic(y_encoded))
        drawn = [statistic(rng.permutation(y_encoded)) for _ in range(500)]
        assert abs(np.mean(drawn)) < 0.15 * np.std(drawn)
        assert evidence.deviation == pytest.approx(np.std(drawn), rel=0.1)


def test_ties_rank_alike():
    scores = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 2.0]])
    found = evidence_of_ranks(scores, np.array([1, 0, 0]))
    assert found.gain == pytest.approx((0.5 - 1) / 2)


def test_a_trained_head_does_not_look_as_it_was_drawn(trained):
    assert untrained_head(trained.module_) is None
    assert "uniform" in untrained_head(fresh_net())
    drawn = new_head(trained)
    assert "normal with deviation" in untrained_head(drawn)
    nn.init.constant_(drawn.head.bias, 0.3)
    assert untrained_head(drawn) is None
    assert untrained_head(nn.Conv2d(1, 2, 3)) is None
    one_step = fresh_net()
    optimizer = torch.optim.SGD(one_step.parameters(), lr=0.1)
    nn.functional.cross_entropy(
        one_step(torch.from_numpy(X)), torch.from_numpy(y)
    ).backward()
    optimizer.step()
    assert untrained_head(one_step) is None


def test_a_sample_has_every_class_with_its_share():
    y_encoded = np.repeat([-1, 0, 1], [500, 9000, 500])
    rows = sample_rows(y_encoded, 1000, 0)
    assert len(np.unique(rows)) == 1000
    assert np.bincount(y_encoded[rows] + 1).tolist() == [50, 900, 50]
    assert np.array_equal(rows, sample_rows(y_encoded, 1000, 0))
    assert not np.array_equal(rows, sample_rows(y_encoded, 1000, 1))
    assert sample_rows(y_encoded, 10_000).tolist() == list(range(10_000))


def test_large_data_are_sampled(teacher):
    asked = []

    def say(X):
        asked.append(len(X))
        return linear(teacher)(X)

    assert check_health(say, X, y, n_samples=100, random_state=1) == []
    assert asked == [100]


def test_a_finding_reads_as_its_warning():
    assert str(Finding("saturated", "Why.")) == "[saturated] Why."


@pytest.mark.parametrize("deviation", [0.01, 0.05])
def test_a_new_head_on_a_good_backbone_is_found(deviation, trained):
    """As torchvision, or anybody, draws it: normal, with a bias of 0."""
    module = copy.deepcopy(trained.module_)
    head = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(0)
        head.weight.normal_(0, deviation)
        head.bias.zero_()
    assert untrained_head(module) is not None
    assert untrained_head(trained.module_) is None
