#!/usr/bin/env bash
# scikit-learn 1.9.1: CalibratedClassifierCV(method="temperature") takes whole numbers
# as labels for numbers of columns.
#
# Valid input: labels 1 and 2, or 4, 5 and 6. Seen (Linux, Python 3.11):
#   the loss is read beside its array: another temperature than with the same labels as
#   0, 1, ..., such as one at which all classes are as likely, or RuntimeError ("NaN
#   result encountered"). Labels that are texts are fine.
# What follows for who calibrates: labels from 0 on, as LabelEncoder makes them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet scikit-learn==1.9.1 2>/dev/null
cat >"$folder/try.py" <<'PY'
import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.naive_bayes import GaussianNB


def temperature(X, labels):
    model = CalibratedClassifierCV(GaussianNB(), method="temperature", ensemble=False)
    try:
        (fitted,) = model.fit(X, labels).calibrated_classifiers_
    except (RuntimeError, ValueError):
        return None
    return 1 / fitted.calibrators[0].beta_


for n_classes in (2, 3):
    X, y = make_classification(
        600, n_informative=5, n_classes=n_classes, flip_y=0.3, random_state=0
    )
    expected = temperature(X, y)
    texts = np.array(["a", "b", "c"])[y]
    kinds = {"from 1 on": y + 1, "from 4 on": y + 4, "texts": texts}
    for what, labels in kinds.items():
        found = temperature(X, labels)
        same = found is not None and np.isclose(found, expected, rtol=0.01)
        print(n_classes, "classes,", what, "the same" if same else "another, or none")
PY
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/seen" - <<'EXPECTED'
2 classes, from 1 on another, or none
2 classes, from 4 on another, or none
2 classes, texts the same
3 classes, from 1 on another, or none
3 classes, from 4 on another, or none
3 classes, texts the same
EXPECTED
