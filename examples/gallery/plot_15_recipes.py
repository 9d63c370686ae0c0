"""
Several students: assistants, generations, ensembles
====================================================

Recipes are estimators that train more than one student. Here a teacher of 256
hidden units and a student of six, which is perhaps too small to follow it.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skkd import DistilledClassifier
from skkd.recipes import AssistantChain, BornAgain, DistilledEnsemble, MutualLearning

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
settings = {"lr": 0.01, "max_epochs": 25}
teacher = DistilledClassifier(module__hidden=256, random_state=0, **settings)
teacher.fit(X_train, y_train)

# %%
# The same student in each of them, three seeds.

scores = {}
for seed in range(3):
    alone = DistilledClassifier(module__hidden=6, random_state=seed, **settings)
    student = DistilledClassifier(
        teacher=teacher,
        module__hidden=6,
        temperature=2,
        alpha=0.9,
        random_state=seed,
        **settings,
    )
    models = {
        "alone": alone,
        "distilled": student,
        "an assistant of 32": AssistantChain(student, [{"module__hidden": 32}]),
        "third generation": BornAgain(student, n_generations=3),
        "ensemble of 5, distilled": DistilledEnsemble(student, n_students=5),
        "two that teach each other": MutualLearning(alone),
    }
    for name, model in models.items():
        score = model.fit(X_train, y_train).score(X_test, y_test)
        scores.setdefault(name, []).append(score)

# %%
# Points are seeds. Such a spread is why one seed ranks nothing.

fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
for name, each in scores.items():
    ax.plot(each, [name] * len(each), "o", color="C0", alpha=0.6)
ax.axvline(teacher.score(X_test, y_test), color="gray", ls="--")
ax.set(xlabel="test accuracy (dashed: the teacher)")
ax.invert_yaxis()
