"""
What a temperature does
=======================

A teacher's probabilities say more than its decision: which classes a sample
resembles. Most of that is in the small ones, and a higher temperature makes them
visible to the student. Too high a temperature makes all classes alike.
"""

from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skkd.displays import SoftLabelsDisplay

digits = load_digits()
X_train, X_test, y_train, y_test = train_test_split(
    digits.data, digits.target, random_state=0
)
teacher = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
teacher.fit(X_train, y_train)

# %%
# A digit that the teacher recognises, and of which it is not quite sure.

proba = teacher.predict_proba(X_test)
right = teacher.predict(X_test) == y_test
unsure = (proba.max(axis=1) + ~right).argmin()
SoftLabelsDisplay.from_estimator(
    teacher,
    X_test[unsure],
    temperatures=(1, 4, 16),
    label=y_test[unsure],
    image=X_test[unsure].reshape(8, 8),
)

# %%
# And one of which it is sure. At a temperature of 1 there is nothing to learn from it
# but the label.

sure = proba.max(axis=1).argmax()
SoftLabelsDisplay.from_estimator(
    teacher,
    X_test[sure],
    temperatures=(1, 4, 16),
    label=y_test[sure],
    image=X_test[sure].reshape(8, 8),
)
