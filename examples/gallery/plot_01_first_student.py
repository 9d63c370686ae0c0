"""
A first student
===============

A support vector machine teaches a small network the digits. How much to learn from
the teacher, ``temperature`` and ``alpha``, is chosen by cross-validation, and a
student without a teacher is always among the candidates.
"""

from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skkd import DistilledClassifierCV
from skkd.displays import TemperatureAlphaDisplay

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)

# %%
# The teacher is not fitted here: with ``teacher_cv=5`` the soft targets of a sample
# come from a clone that was fitted without it.

student = DistilledClassifierCV(
    teacher=SVC(gamma=0.001), teacher_cv=5, max_epochs=15, random_state=0
)
student.fit(X_train, y_train)
print(f"temperature {student.temperature_:g}, alpha {student.alpha_:g}")
print(f"accuracy of the student: {student.score(X_test, y_test):.3f}")
print(student.packing_)

# %%
# All candidates, each the mean over five folds. The line on the colour bar is the
# student without a teacher: what is below it gains nothing. Read differences of half
# a point as chance: one standard error of a fold's accuracy is about that much.

display = TemperatureAlphaDisplay.from_search(student)
display.figure_.suptitle("Accuracy over five folds")
