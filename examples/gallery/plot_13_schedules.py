"""
A temperature that falls
========================

Temperature, alpha and the numbers of a loss may change from epoch to epoch.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from skorch.dataset import ValidSplit

from skkd import DistilledClassifier
from skkd.callbacks import Anneal, WarmUp
from skkd.displays import TrainingCurvesDisplay

X, y = load_digits(return_X_y=True)
settings = {
    "lr": 0.003,
    "max_epochs": 20,
    "train_split": ValidSplit(5, stratified=True),
    "random_state": 0,
}
teacher = DistilledClassifier(module__hidden=256, **settings).fit(X[:900], y[:900])


def student(**params):
    net = DistilledClassifier(teacher=teacher, module__hidden=16, **settings)
    return net.set_params(**params).fit(X[900:], y[900:])


# %%
# The train loss of a student mixes labels and teacher by its alpha and temperature,
# and says nothing across settings. The validation loss is the plain cross-entropy,
# which does.

students = {
    "T=4": student(temperature=4, alpha=0.7),
    "T from 8 to 1": student(alpha=0.7, callbacks=[("T", Anneal("temperature", 8, 1))]),
    "alpha rises to 0.7": student(
        temperature=4, alpha=0.7, callbacks=[("alpha", WarmUp("alpha", 10))]
    ),
}
TrainingCurvesDisplay.from_estimators(students)

# %%
# The history has the value of each epoch.

fig, ax = plt.subplots(layout="constrained")
ax.plot(students["T from 8 to 1"].history[:, "temperature"], label="temperature")
ax.plot(students["alpha rises to 0.7"].history[:, "alpha"], label="alpha")
ax.set(xlabel="epoch")
ax.legend()
