"""
How small may a student be?
===========================

Accuracy against size, with and without a teacher, where one sample in eight has a
label.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skkd import DistilledClassifier
from skkd.displays import ParetoDisplay
from skkd.students import MLP

X, y = load_digits(return_X_y=True)
X, X_test, y, y_test = train_test_split(X, y, test_size=500, random_state=0)
X_theirs, X, y_theirs, y = train_test_split(X, y, test_size=0.5, random_state=0)


def network(hidden, **params):
    return DistilledClassifier(
        MLP, module__hidden=hidden, lr=0.01, max_epochs=30, random_state=0, **params
    )


# %%
# The teacher is a network of 256 hidden units that learnt from other digits. The
# students have 4 to 32: alone they learn from the labelled samples, with the teacher
# from all.

teacher = network(256).fit(X_theirs, y_theirs)
labelled = np.arange(len(y)) % 8 == 0
few = np.where(labelled, y, -1)
models = {"teacher": teacher}
for hidden in (4, 8, 16, 32):
    alone = network(hidden).set_params(max_epochs=240)  # as many steps
    models[f"{hidden}, alone"] = alone.fit(X[labelled], y[labelled])
    models[f"{hidden}, distilled"] = network(
        hidden, teacher=teacher, unlabeled=-1, temperature=2, alpha=0.9
    ).fit(X, few)

# %%
# Filled points are those that no other model beats in both. Bars are one standard error
# of the accuracy on these test samples.

ParetoDisplay.from_estimators(models, X_test, y_test)
