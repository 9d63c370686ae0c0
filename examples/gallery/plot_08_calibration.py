"""
Probabilities of a student
==========================

A student learns the probabilities of its teacher, good or bad. A random forest says
"70 %" where it is nearly always right. How much of that its student takes over depends
on temperature and alpha.
"""

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from skkd import DistilledClassifier
from skkd.displays import ReliabilityDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
forest = RandomForestClassifier(random_state=0).fit(X_train, y_train)


def student(**params):
    net = DistilledClassifier(max_epochs=20, random_state=0, **params)
    return net.fit(X_train, y_train)


# %%
# Both axes are shares: how sure a model is, and how often it is right when it is so
# sure. A curve above the diagonal is too modest.

models = {
    "forest": forest,
    "student alone": student(),
    "T=1, alpha=0.3": student(teacher=forest),
    "T=4, alpha=0.9": student(teacher=forest, temperature=4, alpha=0.9),
}
display = ReliabilityDisplay.from_estimators(models, X_test, y_test, n_bins=10)
for name, curve in display.curves.items():
    print(f"{name:15} calibration error {curve.ece:.3f}")

# %%
# Look at both. At ``temperature=4, alpha=0.9`` the student is well calibrated, and
# wrong more often: the soft targets of the forest are almost uniform there.

for name, model in models.items():
    print(f"{name:15} accuracy {model.score(X_test, y_test):.3f}")
