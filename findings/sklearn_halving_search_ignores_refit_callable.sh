#!/usr/bin/env bash
# HalvingGridSearchCV of scikit-learn 1.9.1 never calls the function given as refit=.
#
# Valid input: the documentation says that `refit` may be "a function which returns the
# selected best_index_ given cv_results_", with an example that balances complexity and
# score. Seen (Linux, Python 3.11), without a warning:
#   GridSearchCV calls the function, and takes the candidate that it names
#   HalvingGridSearchCV does not: it takes the best of the last round, as with refit=True
# What follows for who chooses so (the one-standard-error rule): another model is refitted.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet "scikit-learn==1.9.1" "numpy==2.2.6" 2>/dev/null
cat >"$folder/try.py" <<'PY'
import warnings

import sklearn
from sklearn.datasets import load_iris
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV
from sklearn.tree import DecisionTreeClassifier

warnings.simplefilter("error")
X, y = load_iris(return_X_y=True)
for kind in (GridSearchCV, HalvingGridSearchCV):
    calls = []

    def smallest_tree(results):
        calls.append(len(results["params"]))
        depths = [params["max_depth"] for params in results["params"]]
        return depths.index(min(depths))

    tree = DecisionTreeClassifier(random_state=0)
    search = kind(tree, {"max_depth": [1, 2, 3]}, refit=smallest_tree, cv=5)
    search.fit(X, y)
    depth = search.best_params_["max_depth"]
    print(sklearn.__version__, kind.__name__, "calls:", len(calls), "max_depth:", depth)
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
1.9.1 GridSearchCV calls: 1 max_depth: 1
1.9.1 HalvingGridSearchCV calls: 0 max_depth: 3
EXPECTED
