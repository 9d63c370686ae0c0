"""The health check in a fit, and its statistics."""

import copy

import numpy as np
import pytest
import torch
from health_cases import (
    SWAPPED,
    X,
    dropping,
    equal,
    fresh_net,
    linear,
    new_head,
    noise,
    sigmoid,
    state,
    student,
    y,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier
from torch import nn

from skkd import TeacherWarning
from skkd._fit.teacher_check import TeacherCheck
from skkd.augment import RandomHorizontalFlip
from skkd.memory import LogitMemory
from skkd.teachers import Finding, check_health
from skkd.teachers.health._evidence import (
    evidence_of_decisions,
    evidence_of_ranks,
)
from skkd.teachers.health._findings import sample_rows
from skkd.teachers.health._networks import untrained_head

# Softness ----------------------------------------------------------------------


def test_what_is_saturated_depends_on_temperature_and_loss(teacher):
    sure = linear(teacher, function=lambda z: 30 * z)
    with pytest.warns(TeacherWarning, match="at temperature 2,"):
        check_health(sure, X, y, temperature=2)
    assert check_health(sure, X, y, temperature=1) == []  # nothing soft was asked for
    assert check_health(sure, X, y, temperature=100) == []
    for distillation in ["hard", "mse"]:
        fitted = student(sure, temperature=2, distillation=distillation).fit(X, y)
        assert fitted.teacher_findings_ == []


def test_a_tree_is_soft_out_of_fold_no_more_than_on_its_rows():
    tree = DecisionTreeClassifier(random_state=0)
    remedies = {None: "from clones that did not see them: teacher_cv=5"}
    remedies[3] = "These are of clones that did not see the row: use a higher"
    for teacher_cv, remedy in remedies.items():
        fitted = tree if teacher_cv else tree.fit(X, y)
        with pytest.warns(TeacherWarning, match=f"saturated.*{remedy}"):
            student(fitted, teacher_cv=teacher_cv).fit(X, y)


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
                "skkd._estimator.classifier.check_teacher_outputs",
                lambda *_, **__: TeacherCheck([]),
            )
        torch.manual_seed(3)
        fitted = student(module, augment=Shift(), random_state=seed).fit(X, y)
        weights.append(state(fitted.module_))
    assert equal(*weights)


# The crop changes the shape, which is told.
@pytest.mark.filterwarnings("ignore:augment= makes rows:skkd.DistillationWarning")
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
