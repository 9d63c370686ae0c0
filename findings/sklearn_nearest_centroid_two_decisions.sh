#!/usr/bin/env bash
# scikit-learn 1.9.1: NearestCentroid decides otherwise by `predict` than by its own
# `predict_proba` and `decision_function`.
#
# Valid input: iris, default settings, priors uniform. Seen (Linux, Python 3.11):
#   `predict` is the nearest centroid (0.927 right), the largest probability another
#   class in 11 of 150 rows (0.96 right): the scores divide by the deviation in a class.
# With priors that are not equal, however close to it, `predict` is that of the scores.
# What follows for who takes scores for a classifier's decisions: compare them first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet scikit-learn==1.9.1 2>/dev/null
cat >"$folder/try.py" <<'PY'
import sklearn
from sklearn.datasets import load_iris
from sklearn.neighbors import NearestCentroid

X, y = load_iris(return_X_y=True)
for priors in ("uniform", [0.34, 0.33, 0.33]):
    model = NearestCentroid(priors=priors).fit(X, y)
    decided = model.predict(X)
    for method in ("predict_proba", "decision_function"):
        largest = model.classes_[getattr(model, method)(X).argmax(axis=1)]
        n = (decided != largest).sum()
        print(sklearn.__version__, model.class_prior_.round(3), method, n, "differ")
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
1.9.1 [0.333 0.333 0.333] predict_proba 11 differ
1.9.1 [0.333 0.333 0.333] decision_function 11 differ
1.9.1 [0.34 0.33 0.33] predict_proba 0 differ
1.9.1 [0.34 0.33 0.33] decision_function 0 differ
EXPECTED
