#!/usr/bin/env bash
# XGBoost 3.2.0 takes the columns of a polars DataFrame by their place, without a word.
#
# Valid input: a classifier fitted on a table with names, and asked about the same rows
# with the columns in another order. Seen (Linux, Python 3.11):
#   pandas: ValueError, feature_names mismatch
#   polars: predictions by the wrong columns, an accuracy of 0.207 on iris, not 0.98
# although `feature_names_in_` of a model that was fitted on polars holds the names.
# What follows for who asks a fitted model about a table: put the columns in its order.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet xgboost==3.2.0 polars==2.1.0 pandas==3.1.1 \
  pyarrow==26.0.1 scikit-learn==1.9.1 2>/dev/null
cat >"$folder/try.py" <<'PY'
import polars
import xgboost
from sklearn.datasets import load_iris

X, y = load_iris(return_X_y=True, as_frame=True)
tables = {"pandas": X, "polars": polars.from_pandas(X)}
for name, table in tables.items():
    model = xgboost.XGBClassifier(n_estimators=3).fit(table, y)
    assert [*model.feature_names_in_] == [*X.columns]
    turned = table[[*X.columns[::-1]]]
    try:
        right = (model.predict(turned) == y).mean()
        print(xgboost.__version__, name, "by place", round(float(right), 3))
    except ValueError as error:
        print(xgboost.__version__, name, "raises", str(error).partition(":")[0])
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
3.2.0 pandas raises feature_names mismatch
3.2.0 polars by place 0.207
EXPECTED
