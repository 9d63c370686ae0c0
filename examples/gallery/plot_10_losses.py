"""
Several losses in one search
============================

What the student compares with its teacher is a parameter like any other. Here seven
losses are tried on three folds; students of one shape are trained together.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skkd import DistilledClassifier
from skkd.search import PackedSearchCV

X, y = load_digits(return_X_y=True)
X_theirs, X, y_theirs, y = train_test_split(X, y, test_size=0.4, random_state=0)

# %%
# The teacher learnt from other samples than those that the search scores.

settings = {"lr": 0.01, "max_epochs": 30, "random_state": 0}
teacher = DistilledClassifier(module__hidden=256, **settings).fit(X_theirs, y_theirs)
student = DistilledClassifier(
    teacher=teacher, module__hidden=16, temperature=4, alpha=0.7, **settings
)
grid = [
    {"alpha": [0.0]},
    {"distillation": ["kd", "dkd", "dist", "standardized_kd", "js", "mse", "hard"]},
]
search = PackedSearchCV(student, grid, cv=3, teacher_saw="other rows").fit(X, y)
print(search.packing_)

# %%
# Bars are the spread over the folds. With 700 samples it is as large as most
# differences: this ranks nothing for good, it shows how to look.

results = search.cv_results_
names = [params.get("distillation", "no teacher") for params in results["params"]]
fig, ax = plt.subplots(figsize=(6, 3.5), layout="constrained")
means, spread = results["mean_test_score"], results["std_test_score"]
ax.errorbar(means, names, xerr=spread, fmt="o", capsize=3)
ax.set(xlabel="accuracy over three folds")
ax.invert_yaxis()
