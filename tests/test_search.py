import sys

import numpy as np
import optuna
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_score
from skorch.dataset import ValidSplit

from skkd import DistilledClassifier
from skkd.search import pruned_cross_val_score, suggest_distillation

X, y = load_iris(return_X_y=True)
NAMES = np.array(["setosa", "versicolor", "virginica"])[y]


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.WARNING)


@pytest.fixture
def student():
    teacher = LogisticRegression(max_iter=500).fit(X, NAMES)
    return DistilledClassifier(teacher=teacher, max_epochs=4, lr=0.02, random_state=0)


def test_suggestions_are_parameters_of_the_estimator():
    trial = optuna.create_study().ask()
    params = suggest_distillation(trial, temperature=(2, 3), alpha=(0.1, 0.2))
    assert set(params) == {"temperature", "alpha"}
    assert 2 <= params["temperature"] <= 3 and 0.1 <= params["alpha"] <= 0.2
    DistilledClassifier().set_params(**params)


def test_suggestions_take_a_prefix():
    trial = optuna.trial.FixedTrial({"temperature": 2.0, "alpha": 0.5})
    assert suggest_distillation(trial, prefix="net__") == {
        "net__temperature": 2.0,
        "net__alpha": 0.5,
    }


def test_scores_are_those_of_cross_val_score(student):
    cv = StratifiedKFold(3, shuffle=True, random_state=0)
    trial = optuna.create_study(direction="maximize").ask()
    found = pruned_cross_val_score(student, X, NAMES, trial, cv=cv)
    assert np.array_equal(found, cross_val_score(student, X, NAMES, cv=cv))


def test_epochs_count_on_from_fold_to_fold(student):
    study = optuna.create_study(direction="maximize")
    trial = study.ask()
    scores = pruned_cross_val_score(student, X, NAMES, trial, cv=3)
    study.tell(trial, scores.mean())
    reported = study.trials[0].intermediate_values
    assert list(reported) == list(range(3 * 4))
    assert [reported[step] for step in (3, 7, 11)] == scores.tolist()


def test_an_unpromising_trial_is_given_up(student):
    pruner = optuna.pruners.ThresholdPruner(lower=1.1)
    trial = optuna.create_study(direction="maximize", pruner=pruner).ask()
    with pytest.raises(optuna.TrialPruned, match="epoch 0"):
        pruned_cross_val_score(student, X, NAMES, trial)


def test_the_estimator_is_left_alone(student):
    student.set_params(train_split=ValidSplit(2), callbacks=[])
    before = student.get_params(deep=False)
    pruned_cross_val_score(student, X, NAMES, optuna.create_study().ask())
    assert student.get_params(deep=False) == before
    assert not student.initialized_


def test_a_loss_can_be_monitored(student):
    trial = optuna.create_study().ask()
    losses = pruned_cross_val_score(student, X, NAMES, trial, monitor="valid_loss")
    assert (losses > 0).all()


def test_without_optuna_integration_the_error_names_the_extra(student, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna_integration.skorch", None)
    with pytest.raises(ImportError, match="pip install optuna-integration"):
        pruned_cross_val_score(student, X, y, optuna.create_study().ask())
