"""
A file that needs no PyTorch
============================

A student leaves as one ONNX file, and the file is proved to answer as the student
does. With eight bits it is smaller; how far its answers move is measured, not
promised. Needs ``pip install "skkd[onnx]"``.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skkd import DistilledClassifier
from skkd.export import export_onnx
from skkd.runtime import OnnxClassifier

digits = load_digits()
X = (15.9 * digits.images[:, None]).astype("uint8")
X_train, X_test, y_train, y_test = train_test_split(X, digits.target, random_state=0)
student = DistilledClassifier(max_epochs=10, lr=0.003, random_state=0)
student.fit(X_train, y_train)

# %%
# Three files of one student. ``export_onnx`` returns the proof.

folder = Path(tempfile.mkdtemp())
proofs = {
    name: export_onnx(
        student, folder / f"{name}.onnx", quantize=quantize, X_calibration=X_train[:300]
    )
    for name, quantize in {"float32": None, "float16": "fp16", "int8": "int8"}.items()
}
print(proofs["int8"])

# %%
# Read again, as a service would: ``skkd.runtime`` imports neither torch nor
# scikit-learn.

figures = {}
for name in proofs:
    model = OnnxClassifier(folder / f"{name}.onnx", n_threads=1)
    kilobytes = (folder / f"{name}.onnx").stat().st_size / 1000
    same = (model.predict(X_test) == student.predict(X_test)).mean()
    figures[name] = kilobytes
    print(
        f"{name}: {kilobytes:.0f} kB, accuracy {model.score(X_test, y_test):.3f}, "
        f"{same:.1%} the same label as the student"
    )

fig, ax = plt.subplots(figsize=(5, 2.4), layout="constrained")
ax.barh([*figures], [*figures.values()])
ax.invert_yaxis()
ax.set(xlabel="kilobytes")
