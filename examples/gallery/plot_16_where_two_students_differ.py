"""
Where two students differ
=========================

Two models of equal accuracy may be right about different samples. ``compare``
measures any number of classifiers on the same samples; a matrix shows the classes.
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skkd import DistilledClassifier
from skkd.displays import ConfusionDifferenceDisplay
from skkd.report import compare

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
teacher = SVC(gamma=0.001).fit(X_train, y_train)
settings = {"module__hidden": 8, "max_epochs": 15, "random_state": 0}
plain = DistilledClassifier(**settings).fit(X_train, y_train)
distilled = DistilledClassifier(
    teacher=teacher, temperature=2, alpha=0.9, **settings
).fit(X_train, y_train)

# %%
# Accuracy, calibration, agreement with the teacher, size and time, and for each pair
# the difference with its interval.

models = {"teacher": teacher, "distilled": distilled, "plain": plain}
result = compare(models, X_test, y_test)
print(result)

# %%
# Blue on the diagonal: correct more often with the teacher. Blue elsewhere: that
# mistake is made more often with it.

ConfusionDifferenceDisplay.from_estimators(
    {"distilled": distilled, "plain": plain}, X_test, y_test
)
