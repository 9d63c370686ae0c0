"""One student, trained by several processes: each has a part of every batch.

    torchrun --standalone --nproc-per-node 2 train_together.py

Each process runs this script from its first line to its last, with the same data. The
student is that of one process, to rounding.
"""

import argparse

from accelerate import Accelerator
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from skkd import AcceleratedClassifier, save_student
from skkd.students import SmallCNN


def main() -> None:
    """Fit, score and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", default="student.safetensors")
    parser.add_argument("--gpu", action="store_true", help="one GPU for each process")
    args = parser.parse_args()

    accelerator = Accelerator(cpu=not args.gpu)
    X, y = load_digits(return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    # Each process fits it; one that takes long is better loaded from a file. Only the
    # first process asks it, once for each sample.
    teacher = SVC(gamma=0.001).fit(X_train, y_train)

    student = AcceleratedClassifier(
        SmallCNN,
        teacher=teacher,
        accelerator=accelerator,
        alpha=0.5,
        batch_size=64,  # of all processes together
        max_epochs=args.epochs,
        random_state=0,
        verbose=1,  # the first process prints
    )
    images = X_train.reshape(-1, 1, 8, 8).astype("float32")
    student.fit(images, y_train, teacher_X=X_train)

    if accelerator.is_main_process:
        score = student.score(X_test.reshape(-1, 1, 8, 8).astype("float32"), y_test)
        print(f"{accelerator.num_processes} processes, test accuracy {score:.3f}")
        save_student(student, args.out)
    accelerator.end_training()


if __name__ == "__main__":
    main()
