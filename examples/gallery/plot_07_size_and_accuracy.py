"""
How small may a student be?
===========================

Accuracy against size, with and without a teacher.
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skkd import DistilledClassifier
from skkd.displays import ParetoDisplay
from skkd.students import MLP

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)


def network(hidden, **params):
    return DistilledClassifier(
        MLP, module__hidden=hidden, lr=0.003, max_epochs=20, random_state=0, **params
    )


# %%
# The teacher is a network of 256 hidden units, the students have 4 to 32. The teacher
# has seen the training samples; what the plot shows are others.

teacher = network(256).fit(X_train, y_train)
models = {"teacher": teacher}
for hidden in (4, 8, 16, 32):
    models[f"{hidden}, alone"] = network(hidden).fit(X_train, y_train)
    models[f"{hidden}, distilled"] = network(
        hidden, teacher=teacher, temperature=4, alpha=0.9
    ).fit(X_train, y_train)

# %%
# Filled points are those that no other model beats in both. Bars are one standard
# error of the accuracy on these test samples.

ParetoDisplay.from_estimators(models, X_test, y_test)
