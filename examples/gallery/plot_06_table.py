"""
A table: boosted trees teach a network
======================================

Trees take a table as it is, with categories and gaps; a network does not. A student
makes its own numbers of the columns, and ``distil_table`` has the settings that
such a teacher needs: clones out of fold, and synthetic rows that only the teacher
labels.
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split

from skkd import DistilledClassifier
from skkd.recipes import distil_table

# %%
# Customers who stay or leave, made up: an effect of age that turns, one of the
# contract, one of both together, and gaps.

rng = np.random.default_rng(0)
n = 3000
table = pd.DataFrame(
    {
        "age": rng.integers(18, 90, n).astype(float),
        "contract": pd.Categorical(rng.choice(["month", "year", "two years"], n)),
        "calls": rng.poisson(2, n),
        "bill": rng.lognormal(3, 0.5, n),
    }
)
monthly = table["contract"] == "month"
score = -1.5 + 0.04 * (table["age"] - 50).abs() + 1.2 * monthly
score += 0.5 * table["calls"] * monthly - 0.03 * table["bill"]
leaves = rng.random(n) < 1 / (1 + np.exp(-score))
y = np.where(leaves, "leaves", "stays")
table.loc[rng.random(n) < 0.1, "bill"] = np.nan
X, X_test, y, y_test = train_test_split(table, y, test_size=1000, random_state=0)
print(X.head(3))

# %%
# The student alone, with its teacher, and the teacher. It is one split and one seed:
# ``skkd.report.gain`` says whether a difference is one.

boosting = HistGradientBoostingClassifier(
    categorical_features="from_dtype", max_iter=100, random_state=0
)
models = {
    "boosted trees": boosting.fit(X, y),
    "network alone": DistilledClassifier(max_epochs=15, random_state=0).fit(X, y),
    "distilled": distil_table(
        boosting, synthetic__factor=2, max_epochs=15, random_state=0
    ).fit(X, y),
}
areas = {
    name: roc_auc_score(y_test == "stays", model.predict_proba(X_test)[:, 1])
    for name, model in models.items()
}
for name, area in areas.items():
    print(f"{name:14} {area:.4f}")

# %%
# What the preprocessing made of the four columns.

print(models["distilled"].preprocessor_.get_feature_names_out()[:8])
fig, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
ax.plot([*areas.values()], [*areas], "o", markersize=10)
ax.margins(y=0.3)
ax.set(xlabel="area under the ROC curve, test rows")
ax.grid(axis="y", alpha=0.3)
