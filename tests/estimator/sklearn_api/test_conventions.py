"""Conventions of scikit-learn: parameters, clones, labels, pickles."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from iris_helpers import (
    GOOD,
    NAMES,
    X,
    X_test,
    X_train,
    classifier,
    quick,
    tiny,
    y,
    y_train,
)
from numpy.testing import assert_array_equal
from sklearn.base import clone, is_classifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
)
from sklearn.naive_bayes import GaussianNB

from skkd import DistilledClassifier
from skkd.losses import KD


def test_distilled_classifier_is_a_classifier():
    assert is_classifier(DistilledClassifier())
    assert sklearn.utils.get_tags(DistilledClassifier()).estimator_type == "classifier"


def test_params_are_kept_as_they_were_given(teacher):
    module, callbacks, loss = tiny(), [], KD()
    given = {
        "module": module,
        "teacher": teacher,
        "temperature": 3,
        "distillation": loss,
        "callbacks": callbacks,
        "class_weight": {0: 1},
        "module__hidden": (3,),
        "optimizer__weight_decay": 0.1,
        "device": "auto",
    }
    est = DistilledClassifier(**given)
    params = est.get_params(deep=False)
    assert all(params[name] is value for name, value in given.items())
    twin = clone(est)
    assert twin.teacher is teacher
    assert twin.module is not module
    assert twin.get_params(deep=False).keys() == params.keys()
    twin.set_params(temperature=9, module__hidden=(1,))
    assert est.temperature == 3
    assert est.get_params()["module__hidden"] == (3,)


def test_clone_is_not_fitted(teacher):
    est = quick(teacher=teacher).fit(X_train, y_train)
    twin = clone(est)
    assert twin.teacher is est.teacher is est.teacher_
    with pytest.raises(sklearn.exceptions.NotFittedError):
        twin.predict(X_test)
    assert_array_equal(
        twin.fit(X_train, y_train).predict_proba(X_test), est.predict_proba(X_test)
    )


@pytest.mark.parametrize("teacher_cv", [None, 3])
def test_clone_unfits_a_teacher_that_is_to_be_fitted(teacher, teacher_cv):
    twin = clone(quick(teacher=teacher, teacher_cv=teacher_cv))
    assert twin.teacher is not teacher
    assert not hasattr(twin.teacher, "coef_")
    assert hasattr(teacher, "coef_")


def test_module_instance_is_a_template():
    module = tiny()
    before = [p.detach().clone() for p in module.parameters()]
    est = DistilledClassifier(
        module, max_epochs=3, lr=0.1, random_state=0, device="cpu"
    )
    first = est.fit(X, y).predict_proba(X)
    assert est.module is module
    assert est.module_ is not module
    assert module.training
    for p, old in zip(module.parameters(), before, strict=True):
        assert torch.equal(p, old)
        assert p.grad is None
    # It starts from the template each time, and so does a clone.
    assert_array_equal(est.fit(X, y).predict_proba(X), first)
    assert_array_equal(clone(est).fit(X, y).predict_proba(X), first)


@pytest.mark.parametrize("name", ["temprature", "teacher_logits", "estimator__C"])
def test_an_unknown_parameter_is_named(name):
    if "__" not in name:  # skorch leaves these for the fit to judge
        with pytest.raises(ValueError, match=f"Invalid parameter '{name}'"):
            DistilledClassifier().set_params(**{name: 1})
    with pytest.raises(ValueError, match=name.split("__")[0]):
        GridSearchCV(quick(), {name: [1]}, cv=2, error_score="raise").fit(X, y)


def test_an_unknown_parameter_of_the_teacher_is_named():
    est = DistilledClassifier(teacher=LogisticRegression(), teacher_cv=None)
    with pytest.raises(ValueError, match="Invalid parameter 'gamma'"):
        est.set_params(teacher__gamma=1)


@pytest.mark.parametrize(
    "labels",
    [
        NAMES[y],
        y * 3 + 4,
        y > 0,
        pd.Series(NAMES[y], index=np.arange(150)[::-1]),
        pd.Categorical(NAMES[y], categories=NAMES[::-1]),
        pd.Series(NAMES[y]).astype("category"),
        NAMES[y].tolist(),
        NAMES[y].astype(object),
    ],
    ids=[
        "str",
        "ints",
        "bool",
        "series",
        "categorical",
        "cat-series",
        "list",
        "object",
    ],
)
def test_labels_of_any_type_are_learnt(labels):
    teacher = GaussianNB().fit(X, labels)
    est = classifier(teacher=teacher).fit(X, labels)
    flat = np.asarray(labels)
    assert_array_equal(est.classes_, np.unique(flat))
    predicted = est.predict(X)
    assert predicted.dtype == est.classes_.dtype
    assert est.score(X, labels) == (predicted == flat).mean() > GOOD
    two_folds = cross_val_predict(clone(est), X, labels, cv=2)
    assert (two_folds == flat).mean() > GOOD


def test_frames_are_compared_by_feature_names(teacher):
    frame = pd.DataFrame(X, columns=list("abcd"))
    by_name = LogisticRegression(max_iter=1000).fit(frame, y)
    est = classifier(teacher=by_name).fit(frame, y)
    assert_array_equal(est.feature_names_in_, list("abcd"))
    assert est.n_features_in_ == 4
    assert est.score(frame, y) > GOOD
    with pytest.raises(ValueError, match="feature names"):
        est.predict(frame[list("dcba")])


def test_a_pickled_student_predicts_the_same(teacher):
    est = classifier(teacher=teacher).fit(X_train, y_train)
    twin = pickle.loads(pickle.dumps(est))
    assert_array_equal(twin.predict_proba(X_test), est.predict_proba(X_test))
    assert isinstance(twin.teacher, LogisticRegression)
    est.trim_for_prediction()
    lean = pickle.loads(pickle.dumps(est))
    assert lean.teacher is None
    assert_array_equal(lean.predict_proba(X_test), twin.predict_proba(X_test))
    assert b"LogisticRegression" not in pickle.dumps(est)
    assert X_train.tobytes()[:64] not in pickle.dumps(est)
