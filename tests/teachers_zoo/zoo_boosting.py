"""Teachers of XGBoost, LightGBM and CatBoost."""

from functools import partial

import numpy as np
from zoo_case import of_tables

from skkd.teachers import as_teacher


def of_xgboost(name, X, y):
    import xgboost

    # It takes the numbers of the classes alone, and never their names.
    classes, codes = np.unique(y, return_inverse=True)
    model = getattr(xgboost, name)(n_estimators=5, n_jobs=1).fit(X, codes)
    return as_teacher(model, classes=classes)


def continue_xgboost(teacher):
    import xgboost

    model = teacher.model
    booster = model.get_booster()
    X = np.random.default_rng(0).normal(size=(30, 4))
    labels = np.arange(30) % model.n_classes_
    booster.update(xgboost.DMatrix(X, labels), iteration=5)


def lightgbm(X, y):
    import lightgbm

    options = {"n_estimators": 5, "n_jobs": 1, "verbose": -1}
    return lightgbm.LGBMClassifier(**options).fit(X, y)


def reweigh_lightgbm(model):
    booster = model.booster_
    booster.set_leaf_output(0, 0, booster.get_leaf_output(0, 0) + 1)


def catboost(X, y):
    import catboost

    options = {"iterations": 5, "thread_count": 1, "random_seed": 0, "verbose": 0}
    return catboost.CatBoostClassifier(**options, allow_writing_files=False).fit(X, y)


def shrink_catboost(model):
    model.shrink(ntree_end=4)


CASES = [
    *of_tables(
        "xgboost", partial(of_xgboost, "XGBClassifier"), change=continue_xgboost
    ),
    *of_tables(
        "xgboost-forest",
        partial(of_xgboost, "XGBRFClassifier"),
        change=continue_xgboost,
    ),
    *of_tables("lightgbm", lightgbm, change=reweigh_lightgbm),
    *of_tables("catboost", catboost, change=shrink_catboost),
]
