"""
A teacher whose columns are in another order
============================================

The most expensive mistake is silent: a network from elsewhere whose classes come in
another order teaches with confidence, and wrongly. Before training, ``fit`` looks
at what the teacher says of the labelled samples.
"""

import warnings

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split

from skkd import DistilledClassifier, TeacherWarning
from skkd.teachers import as_teacher, check_health

X, y = load_digits(return_X_y=True)
X = X.astype("float32")
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# Somebody's network, trained on the digits in another order: its first column is the
# seven. It cannot say so, as a torch module has no names of classes.

theirs = [7, 0, 1, 2, 3, 4, 5, 6, 8, 9]
codes = np.argsort(theirs)[y_train]
network = DistilledClassifier(max_epochs=10, random_state=0).fit(X_train, codes).module_

with torch.no_grad():
    columns = network.eval()(torch.from_numpy(X_test)).argmax(1).numpy()
ConfusionMatrixDisplay.from_predictions(y_test, columns, colorbar=False)

# %%
# What the check finds, and what it recommends.

with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always", TeacherWarning)
    check_health(network, X_train, y_train)
for warning in caught:
    print(warning.message)

# %%
# The remedy.

teacher = as_teacher(network, classes=theirs)
student = DistilledClassifier(teacher=teacher, max_epochs=10, random_state=0)
student.fit(X_train, y_train)
print(student.teacher_findings_, round(student.score(X_test, y_test), 3))
