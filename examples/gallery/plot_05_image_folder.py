"""
A folder of images
==================

From files to a student that predicts from files. Each class has a folder of its
own; here they are written first, as small PNG files.
"""

import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.pipeline import make_pipeline

from skkd import DistilledClassifier, ImageReader, load_image_folder

folder = Path(tempfile.mkdtemp())
digits = load_digits()
for number, (image, label) in enumerate(zip(digits.images, digits.target, strict=True)):
    part = folder / ("test" if number % 3 == 0 else "train") / f"digit {label}"
    part.mkdir(parents=True, exist_ok=True)
    Image.fromarray((255 - 15.9 * image).astype(np.uint8)).save(part / f"{number}.png")

# %%
# ``load_image_folder`` returns paths and names of classes. Files that cannot be read,
# copies, and images of the test set among those of the training are reported.

train = load_image_folder(folder / "train")
test = load_image_folder(folder / "test", compare_with=train)
print(len(train.data), "images,", train.target_names)

# %%
# The teacher is a wider network, and a pipeline that reads files as well. To the
# student, which gets arrays from its own reader, it is passed without that step.

reader = ImageReader(size=8, mode="L")
settings = {"max_epochs": 12, "lr": 0.003, "random_state": 0}
teacher = make_pipeline(reader, DistilledClassifier(module__width=32, **settings))
teacher.fit(train.data, train.target)

small = DistilledClassifier(
    teacher=teacher[1:], module__width=4, temperature=4, alpha=0.9, **settings
)
student = make_pipeline(reader, small)
student.fit(train.data, train.target)
for name, model in {"teacher": teacher, "student": student}.items():
    size = sum(p.numel() for p in model[-1].module_.parameters())
    print(f"{name}: {size:,} parameters, {model.score(test.data, test.target):.3f}")

# %%
# Some images that the student gets wrong.

predicted = student.predict(test.data)
wrong = np.flatnonzero(predicted != test.target)[:8]
fig, axes = plt.subplots(2, 4, figsize=(7, 4), layout="constrained")
for ax in axes.flat:
    ax.axis("off")
for ax, i in zip(axes.flat, wrong, strict=False):
    ax.imshow(Image.open(test.data[i]), cmap="gray")
    ax.set_title(f"{test.target[i]}\nsays {predicted[i]}", fontsize="small")
