"""
Augmentation: one view for both
===============================

Student and teacher should look at the same view of an image. ``augment`` makes it,
and the teacher is asked about every view, or once about a few fixed ones.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits

from skkd import DistilledClassifier
from skkd.augment import Compose, RandomAffine, RandomErasing

digits = load_digits()
X = (255 - 15.9 * digits.images[:, None]).astype("uint8")  # (n, 1, 8, 8)
y = digits.target

# %%
# Views of one image. Each is a function of the image and of a seed.

augment = Compose([RandomAffine(degrees=15, translate=0.1), RandomErasing(p=0.3)])
views = augment(torch.from_numpy(X[:1]).repeat(10, 1, 1, 1), seeds=torch.arange(10))
fig, axes = plt.subplots(2, 5, figsize=(7, 3), layout="constrained")
for ax, view in zip(axes.flat, views, strict=True):
    ax.imshow(view[0].numpy(), cmap="gray", vmin=0, vmax=255)
    ax.axis("off")

# %%
# Three ways to ask the teacher, and how many images it is asked about in ten epochs.

teacher = DistilledClassifier(max_epochs=10, lr=0.003, random_state=0)
teacher.fit(X[:1000], y[:1000])
ways = {
    "every view": {},
    "four fixed views": {"n_views": 4},
    "images as they are": {"teacher_view": "clean"},
}
for name, params in ways.items():
    student = DistilledClassifier(
        teacher=teacher.module_.eval(),
        module__width=4,
        augment=augment,
        temperature=4,
        alpha=0.9,
        max_epochs=10,
        lr=0.003,
        random_state=0,
        **params,
    )
    score = student.fit(X[:1000], y[:1000]).score(X[1000:], y[1000:])
    asked = student.cache_info_.misses
    print(f"{name:18} {asked:6,} images asked, accuracy {score:.3f}")
