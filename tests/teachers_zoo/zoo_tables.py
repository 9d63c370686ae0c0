"""Teachers for tables besides boosting: of interpret, imbalanced-learn, in context."""

import numpy as np
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.naive_bayes import GaussianNB
from zoo_case import of_tables


def ebm(X, y):
    from interpret.glassbox import ExplainableBoostingClassifier

    options = {"max_rounds": 20, "outer_bags": 2, "interactions": 0, "n_jobs": 1}
    return ExplainableBoostingClassifier(**options, random_state=0).fit(X, y)


def change_a_term(model):
    model.term_scores_[0][1] += 1


def resampled(X, y):
    from imblearn.over_sampling import SMOTE
    from imblearn.pipeline import make_pipeline

    return make_pipeline(SMOTE(random_state=0), GaussianNB()).fit(X, y)


def change_a_mean(pipeline):
    pipeline[-1].theta_[0, 0] += 0.5


def balanced_forest(X, y):
    from imblearn.ensemble import BalancedRandomForestClassifier

    return BalancedRandomForestClassifier(5, random_state=0).fit(X, y)


def lose_a_tree(forest):
    forest.estimators_ = forest.estimators_[:4]


class InContext(ClassifierMixin, BaseEstimator):
    """Memorises its rows and attends to them, as TabICL does."""

    def fit(self, X, y):
        self.classes_, codes = np.unique(y, return_inverse=True)
        self.X_, self.Y_ = np.asarray(X), np.eye(len(self.classes_))[codes]
        return self

    def predict_proba(self, X):
        distances = np.square(np.asarray(X)[:, None] - self.X_).sum(axis=2)
        return softmax(-5 * distances, axis=1) @ self.Y_


def in_context(X, y):
    return InContext().fit(X, y)


def move_a_row(model):
    model.X_[0, 0] += 1


CASES = [
    *of_tables("ebm", ebm, change=change_a_term),
    *of_tables("imblearn-pipeline", resampled, change=change_a_mean),
    *of_tables("imblearn-forest", balanced_forest, change=lose_a_tree),
    *of_tables("in-context", in_context, change=move_a_row),
]
