"""
A teacher that knows its samples by heart
=========================================

A fully grown forest, or a nearest neighbour, is right and sure on the samples that
it was fitted on: as a teacher on these it says the label and nothing else.
``teacher_cv`` asks a clone that has not seen the sample.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.model_selection import cross_val_predict

from skkd.displays import SoftLabelsDisplay

X, y = load_digits(return_X_y=True)
X, y = X[:800], y[:800]
trees = ExtraTreesClassifier(random_state=0)

# %%
# How sure the forest is of its own samples, and of samples that a fold held out.

own = trees.fit(X, y).predict_proba(X).max(axis=1)
held_out = cross_val_predict(trees, X, y, cv=5, method="predict_proba")
fig, ax = plt.subplots(layout="constrained")
ax.hist([own, held_out.max(axis=1)], bins=20, range=(0, 1))
ax.set(xlabel="largest probability", ylabel="samples")
ax.legend(["prefit, on its own samples", "out of fold"])

# %%
# One sample, in the words of both.

i = held_out.max(axis=1).argmin()
for proba, title in ((trees.predict_proba(X), "prefit"), (held_out, "out of fold")):
    display = SoftLabelsDisplay.from_predictions(
        np.log(proba[i].clip(1e-6)), temperatures=(1,), classes=range(10), label=y[i]
    )
    display.figure_.suptitle(title)
