"""A table with everything that a user's own may hold, and a teacher that takes it."""

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from skkd import DistilledClassifier

N = 240


def make_table(n=N, seed=0):
    """Return a table with numbers, text, categories, dates and gaps, and labels."""
    rng = np.random.default_rng(seed)
    seconds = pd.to_timedelta(rng.integers(0, 10**7, n), unit="s")
    X = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n),
            "job": pd.Categorical(rng.choice(["cook", "nurse", "pilot"], n)),
            "city": rng.choice(["a", "b", "c"], n),
            "member": rng.random(n) > 0.5,
            "visits": pd.array(rng.integers(0, 9, n), dtype="Int64"),
            "joined": pd.Timestamp("2024-01-01") + seconds,
        }
    )
    y = np.where((X["age"] > 40) ^ (X["job"] == "cook"), "yes", "no")
    X.loc[::7, "age"] = np.nan
    X.loc[::5, "visits"] = pd.NA
    X.loc[::9, "job"] = np.nan
    return X, y


def unfitted_teacher():
    unknown = {"handle_unknown": "use_encoded_value", "unknown_value": -1}
    numbers = make_column_transformer(
        (OrdinalEncoder(**unknown), ["job", "city"]), ("passthrough", ["age", "member"])
    )
    return make_pipeline(
        numbers, HistGradientBoostingClassifier(max_iter=20, random_state=0)
    )


X, Y = make_table()
TEACHER = unfitted_teacher().fit(X, Y)


def student(**params):
    params = {"teacher": TEACHER, "lr": 0.01, "max_epochs": 10, **params}
    return DistilledClassifier(random_state=0, **params)
