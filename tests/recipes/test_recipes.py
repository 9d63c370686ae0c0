"""Recipes: who taught whom, on what, and that all of it can be had again."""

import pickle

import numpy as np
import pytest
import torch
from helpers import stable_repr
from numpy.testing import assert_allclose, assert_array_equal
from recipe_cases import NAMES, X, net, y
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd import DistilledClassifier
from skkd.losses import WeightedSum
from skkd.recipes import AssistantChain, BornAgain, DistilledEnsemble, MutualLearning
from skkd.students import MLP

# Who learnt for an epoch or three says nothing yet to the one that it teaches.
pytestmark = pytest.mark.filterwarnings(
    r"ignore:\[(random-head|chance-level|permuted-classes)\]:skkd.TeacherWarning"
)

N_DISTINCT = len(np.unique(X, axis=0))  # a row that is there twice is asked once


def members(recipe):
    """Return all nets that a recipe trained, in the order of their training."""
    before = [
        *getattr(recipe, "assistants_", ()),
        *getattr(recipe, "students_", ()),
        *getattr(recipe, "generations_", ()),
    ]
    is_among = any(recipe.student_ is member for member in before)
    return before if is_among else [*before, recipe.student_]


def weights(student):
    return [value.detach().numpy() for value in student.module_.parameters()]


RECIPES = {
    "chain": lambda **p: AssistantChain(net(**p), [{"module__hidden": 16}, {}]),
    "born": lambda **p: BornAgain(net(**p), n_generations=3),
    "bane": lambda **p: BornAgain(net(**p), n_generations=3, ensemble=True),
    "ensemble": lambda **p: DistilledEnsemble(net(**p), n_students=2),
    "mutual": lambda **p: MutualLearning(net(**{**p, "teacher": None}), n_students=3),
}
every = pytest.mark.parametrize("new", RECIPES.values(), ids=RECIPES)


# --- All of them --------------------------------------------------------------------


@every
def test_a_recipe_is_a_classifier(new):
    recipe = new(
        teacher=LogisticRegression(max_iter=500).fit(X, NAMES), max_epochs=10, lr=0.05
    )
    with pytest.raises(NotFittedError):
        recipe.predict(X)
    assert not hasattr(recipe, "classes_")
    assert recipe.fit(X, NAMES) is recipe
    assert_array_equal(recipe.classes_, ["setosa", "versicolor", "virginica"])
    assert recipe.n_features_in_ == 4
    assert_allclose(recipe.predict_proba(X).sum(axis=1), 1, rtol=1e-5)
    assert recipe.score(X, NAMES) == np.mean(recipe.predict(X) == NAMES) > 0.85
    back = pickle.loads(pickle.dumps(recipe))
    assert_array_equal(back.predict_proba(X), recipe.predict_proba(X))


@every
def test_one_random_state_makes_a_recipe_repeatable(teacher, new):
    torch.manual_seed(1)
    once, state = new(teacher=teacher).fit(X, y), torch.get_rng_state()
    again = clone(once).fit(X, y)
    assert torch.equal(state, torch.get_rng_state())  # nobody else's numbers
    for one, other in zip(members(once), members(again), strict=True):
        for left, right in zip(weights(one), weights(other), strict=True):
            assert_array_equal(left, right)
    other = new(teacher=teacher, random_state=1).fit(X, y)
    assert (other.predict_proba(X) != once.predict_proba(X)).any()


@every
@pytest.mark.parametrize("seed", [0, None])
@pytest.mark.filterwarnings("ignore:.one-sided")  # of untrained ones
def test_no_two_members_start_from_the_same_weights(teacher, new, seed):
    # Without an epoch the weights are those of the beginning.
    recipe = new(teacher=teacher, max_epochs=0, random_state=seed).fit(X, y)
    found = members(recipe)
    assert len(found) == 3
    heads = [weights(member)[-2][:, :8] for member in found]
    for i, head in enumerate(heads):
        for other in heads[:i]:
            assert (head != other).all()


@every
def test_teachers_stay_as_they_were_and_so_does_the_estimator(teacher, new):
    before = pickle.dumps(teacher)
    recipe = new(teacher=teacher)
    shown, params = repr(recipe), recipe.get_params(deep=False)
    recipe.fit(X, y)
    assert pickle.dumps(teacher) == before
    assert repr(recipe) == shown
    assert all(recipe.get_params(deep=False)[k] is params[k] for k in params)
    assert not recipe.estimator.initialized_
    for one, next_one in zip(members(recipe), members(recipe)[1:], strict=False):
        assert one.module_ is not next_one.module_


def test_students_that_teach_stay_as_they_were(teacher):
    recipe = BornAgain(net(teacher=teacher), n_generations=2).fit(X, y)
    alone = BornAgain(net(teacher=teacher), n_generations=1).fit(X, y)
    # The seeds of both begin with the same number.
    first = zip(weights(recipe.generations_[0]), weights(alone.student_), strict=True)
    for left, right in first:
        assert_array_equal(left, right)


@every
@pytest.mark.filterwarnings("ignore:.one-sided")  # of untrained ones
def test_recipes_in_searches_and_pipelines(teacher, new):
    recipe = new(teacher=teacher, max_epochs=1)
    assert recipe.get_params()["estimator__temperature"] == 4.0
    grid = {"estimator__temperature": [1], "estimator__alpha": [0.9]}
    search = GridSearchCV(recipe, grid, cv=2).fit(X, y)
    best = search.best_estimator_
    assert all(member.alpha == 0.9 for member in members(best))
    if recipe.estimator.teacher is not None:
        assert best.estimator.teacher is teacher
    pipe = make_pipeline(StandardScaler(), clone(recipe))
    name = pipe.steps[-1][0]
    pipe.set_params(**{f"{name}__estimator__lr": 0.5}).fit(X, y)
    assert pipe[-1].student_.lr == 0.5


@every
def test_weights_of_rows_reach_every_member(teacher, new):
    # In one batch, and a scaling that does not learn from the rows, the same thing.
    params = {"batch_size": -1, "optimizer": torch.optim.SGD, "lr": 0.1}
    params |= {"teacher": teacher, "max_epochs": 2}
    half = np.arange(len(X)) % 2
    weighted = new(**params).fit(X, y, sample_weight=half.astype(float))
    plain = new(**params).fit(X[half == 1], y[half == 1])
    for one, other in zip(members(weighted), members(plain), strict=True):
        for left, right in zip(weights(one), weights(other), strict=True):
            assert_allclose(left, right, rtol=1e-6, atol=1e-9)


@every
@pytest.mark.filterwarnings("ignore:.one-sided")  # of untrained ones
def test_recipes_learn_from_unlabelled_samples(teacher, new):
    few = np.where(np.arange(len(X)) % 3 == 0, y, -1)
    recipe = new(teacher=teacher, unlabeled=-1).fit(X, few)
    assert_array_equal(recipe.classes_, [0, 1, 2])
    assert recipe.score(X, few) == np.mean((recipe.predict(X) == y)[few >= 0])
    labels_only = new(teacher=teacher).fit(X[few >= 0], few[few >= 0])
    assert (recipe.predict_proba(X) != labels_only.predict_proba(X)).any()


@pytest.mark.parametrize(
    "recipe", [AssistantChain, BornAgain, DistilledEnsemble, MutualLearning]
)
def test_an_estimator_that_is_no_distilled_classifier_is_refused(recipe):
    more = [[]] if recipe is AssistantChain else []
    with pytest.raises(TypeError, match=r"a Pipeline.*Put the recipe at the end of"):
        recipe(make_pipeline(StandardScaler(), net()), *more).fit(X, y)
    with pytest.raises(TypeError, match="LogisticRegression, expected a Distilled"):
        recipe(LogisticRegression(), *more).fit(X, y)


def halved(x):
    return x / 2


@pytest.mark.parametrize("name", ["chain", "born", "ensemble"])
@pytest.mark.filterwarnings("ignore:.one-sided")  # of untrained ones
def test_the_inputs_of_the_first_teacher_are_its_alone(name):
    torch.manual_seed(0)
    first = MLP(3, (4,), 32).eval()
    recipe = RECIPES[name](teacher=first, teacher_transform=halved, alpha=0.9)
    *before, last = members(recipe.fit(X, y))
    assert before[0].teacher_ is first and before[0].teacher_transform is halved
    # Who learnt from X as it is, is asked about X as it is.
    asked_as_it_is = clone(last).set_params(teacher_transform=None).fit(X, y)
    for left, right in zip(weights(last), weights(asked_as_it_is), strict=True):
        assert_array_equal(left, right)
    if name == "chain":
        with pytest.raises(ValueError, match="sets teacher_transform, which the rec"):
            AssistantChain(recipe.estimator, [{"teacher_transform": halved}]).fit(X, y)


@pytest.mark.parametrize("name", ["chain", "born", "ensemble"])
@pytest.mark.parametrize("loss", ["label_smoothing", "virtual_teacher"])
def test_a_loss_that_needs_no_teacher_is_refused(teacher, name, loss):
    recipe = RECIPES[name](teacher=teacher, distillation=loss)
    with pytest.raises(ValueError, match=f"distillation='{loss}' needs no teacher"):
        recipe.fit(X, y)
    assert not hasattr(recipe, "student_")


def test_the_loss_of_an_assistant_is_checked(teacher):
    chain = AssistantChain(net(teacher=teacher), [{}, {"distillation": "kb"}])
    with pytest.raises(ValueError, match="Did you mean 'kd'"):
        chain.fit(X, y)
    chain.set_params(assistants=[{"distillation": "label_smoothing"}])
    with pytest.raises(ValueError, match="'label_smoothing' needs no teacher"):
        chain.fit(X, y)


class Untrained(DistilledClassifier):
    def partial_fit(self, *args, **kwargs):
        raise AssertionError("a member was trained")

    fit = partial_fit


@pytest.mark.parametrize(
    "loss", ["fitnet", WeightedSum([("kd", "kd"), ("rkd", "rkd")])], ids=stable_repr
)
def test_feature_losses_of_an_ensemble_are_refused(loss):
    ensemble = DistilledEnsemble(Untrained(distillation=loss), n_students=2)
    with pytest.raises(ValueError, match=r"layers, and an ensemble .* BornAgain"):
        ensemble.fit(X, y)


@pytest.mark.parametrize("name", ["chain", "born"])
def test_layers_of_one_student_teach_the_next(name):
    torch.manual_seed(0)
    first = MLP(3, (4,), 32).eval()
    recipe = RECIPES[name](teacher=first, distillation="fitnet").fit(X, y)
    assert recipe.student_.teacher_ is members(recipe)[-2]


@pytest.mark.parametrize(
    "new",
    [
        lambda net: BornAgain(net),
        lambda net: DistilledEnsemble(net, 2),
        lambda net: MutualLearning(net),
        lambda net: AssistantChain(net, [{"temperature": 2}]),
    ],
)
def test_copies_of_one_network_are_refused(teacher, new):
    template = net(module=MLP(3, (4,)), teacher=teacher)
    for name in [name for name in template.get_params() if name.startswith("module__")]:
        delattr(template, name)
    if isinstance(new(template), MutualLearning):
        template.teacher = None
    with pytest.raises(ValueError, match=r"MLP, an instance, and .* Pass the class"):
        new(template).fit(X, y)


# --- The chain of assistants --------------------------------------------------------


def test_each_assistant_teaches_the_next(teacher):
    settings = [{"module__hidden": 32}, {"module__hidden": 16, "temperature": 2.0}]
    chain = AssistantChain(net(teacher=teacher), settings).fit(X, y)
    first, second = chain.assistants_
    assert first.teacher_ is teacher
    assert second.teacher_ is first
    assert chain.student_.teacher_ is second
    widths = [len(weights(member)[0]) for member in members(chain)]
    assert widths == [32, 16, 8]
    assert [m.temperature for m in members(chain)] == [4.0, 2.0, 4.0]
    assert first.cache_info_.misses == N_DISTINCT
    assert second.cache_info_.misses == N_DISTINCT
    again = clone(chain).fit(X, y)
    assert [m.cache_info_.misses for m in members(again)] == [0, 0, 0]


def test_a_chain_without_assistants_is_a_student(teacher):
    chain = AssistantChain(net(teacher=teacher), []).fit(X, y)
    assert chain.assistants_ == [] and chain.student_.teacher_ is teacher


def test_the_assistants_are_searched(teacher):
    chain = AssistantChain(net(teacher=teacher), [])
    grid = {"assistants": [[], [{"module__hidden": 32}]]}
    search = GridSearchCV(chain, grid, cv=2).fit(X, y)
    assert len(search.cv_results_["params"]) == 2


def test_logits_and_rows_for_the_teacher_go_to_those_it_teaches(teacher):
    logits = teacher.decision_function(X)
    chain = AssistantChain(net(), [{}]).fit(X, y, teacher_logits=logits)
    assert chain.assistants_[0].teacher_ is None
    assert chain.student_.teacher_ is chain.assistants_[0]
    scaled = StandardScaler().fit_transform(X)
    taught = BornAgain(net(teacher=teacher), 2).fit(scaled, y, teacher_X=X)
    log_p = teacher.predict_log_proba(X)
    same = BornAgain(net(), 2).fit(scaled, y, teacher_logits=log_p)
    assert_allclose(taught.predict_proba(scaled), same.predict_proba(scaled), rtol=1e-4)


@pytest.mark.parametrize(
    ("assistants", "error", "message"),
    [
        ({"module__hidden": 8}, TypeError, "expected a list of dicts"),
        ([net()], TypeError, "holds a DistilledClassifier: expected a list of dicts"),
        ([{"teacher": None}], ValueError, "sets teacher, which the recipe does"),
        ([{"no": 1}], ValueError, "no"),
    ],
)
def test_assistants_that_are_no_dicts_are_refused(teacher, assistants, error, message):
    with pytest.raises(error, match=message):
        AssistantChain(net(teacher=teacher), assistants).fit(X, y)


def test_a_chain_needs_a_teacher():
    with pytest.raises(ValueError, match=r"estimator.teacher is None"):
        AssistantChain(net(), [{}]).fit(X, y)


# --- Generations and ensembles ------------------------------------------------------


def test_each_generation_teaches_the_next(teacher):
    alone = BornAgain(net(), n_generations=3).fit(X, y)
    taught = BornAgain(net(teacher=teacher), n_generations=3).fit(X, y)
    assert alone.generations_[0].teacher_ is None
    assert taught.generations_[0].teacher_ is teacher
    for recipe in (alone, taught):
        first, second, third = recipe.generations_
        assert second.teacher_ is first and third.teacher_ is second
        assert recipe.student_ is third


def test_only_the_first_generation_is_taught_out_of_fold(teacher):
    student = net(teacher=LogisticRegression(max_iter=500), teacher_cv=3)
    first, second = BornAgain(student, n_generations=2).fit(X, y).generations_
    assert len(first.teacher_) == 3
    assert second.teacher_ is first and second.teacher_cv == "prefit"


def test_an_ensemble_of_generations_is_their_mean():
    ensemble = BornAgain(net(), ensemble=True).fit(X, y)
    each = [one.predict_proba(X) for one in ensemble.generations_]
    assert_allclose(ensemble.predict_proba(X), np.mean(each, axis=0), rtol=1e-6)
    last = clone(ensemble).set_params(ensemble=False).fit(X, y)
    assert_array_equal(last.predict_proba(X), each[-1])


def test_an_ensemble_teaches_the_mean_of_its_probabilities(teacher):
    ensemble = DistilledEnsemble(net(teacher=teacher, alpha=1.0), n_students=3)
    ensemble.fit(X, y)
    assert all(member.teacher_ is teacher for member in ensemble.students_)
    asked = [member.cache_info_ for member in ensemble.students_]
    assert [taught.misses for taught in asked] == [N_DISTINCT, 0, 0]
    assert ensemble.student_.teacher_ == ensemble.students_
    mean = np.mean([one.predict_proba(X) for one in ensemble.students_], axis=0)
    assert_allclose(ensemble.ensemble_predict_proba(X), mean)
    # The student is the one that these probabilities teach.
    seed = ensemble.student_.random_state
    twin = net(alpha=1.0, random_state=seed).fit(X, y, teacher_logits=np.log(mean))
    assert_allclose(ensemble.predict_proba(X), twin.predict_proba(X), rtol=1e-3)


def test_an_ensemble_is_trained_together(teacher):
    student = net(teacher=RidgeClassifier().fit(X, y), alpha=0.5)
    ensemble = DistilledEnsemble(student, n_students=3).fit(X, y)
    assert str(ensemble.packing_) == "3 of 3 fits trained together, in 1 group"
    for member in ensemble.students_:
        alone = clone(member).fit(X, y)
        assert_allclose(member.predict_proba(X), alone.predict_proba(X), atol=1e-4)
        assert member.teacher_temperature_ == alone.teacher_temperature_ != 1
    by_themselves = student.set_params(optimizer=torch.optim.Adafactor, max_epochs=1)
    ensemble = DistilledEnsemble(by_themselves, n_students=2).fit(X, y)
    assert ensemble.packing_.n_packed == 0


@pytest.mark.parametrize("n", [0, 2.5, True])
def test_a_number_of_students_that_is_no_count_is_refused(n):
    with pytest.raises(
        ValueError, match=r"n_generations=.*: expected an int of at least 1"
    ):
        BornAgain(net(), n_generations=n).fit(X, y)
    with pytest.raises(
        ValueError, match=r"n_students=.*: expected an int of at least 1"
    ):
        DistilledEnsemble(net(), n_students=n).fit(X, y)
    with pytest.raises((ValueError, TypeError), match="n_students="):
        MutualLearning(net(), n_students=n).fit(X, y)
