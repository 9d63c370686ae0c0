"""What the snippets of a page find there: the names and files that its text speaks of.

Each function is called in an empty current folder and returns the names.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from image_folders import write_squares
from sklearn.datasets import load_digits
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.svm import SVC
from torchvision.models import resnet18

from skkd import DistilledClassifier, ImageReader, load_image_folder, save_student
from skkd.students import MLP, CifarResNet, SmallCNN


def digits(n=400):
    X, y = load_digits(return_X_y=True)
    return {"X": X[:n], "y": y[:n]}


def with_teacher():
    names = digits()
    return {**names, "teacher": SVC(gamma=0.001).fit(names["X"], names["y"])}


def photos():
    write_squares(Path("photos/train"), n=12)
    write_squares(Path("photos/test"), n=4, levels={"bright": 190, "dark": 70})
    return load_image_folder("photos/train")


def images():
    read = photos()
    net = DistilledClassifier(SmallCNN, module__width=40, random_state=0)
    X = ImageReader(size=64).transform(read.data)
    return {"teacher": net.fit(X, read.target)}


def customers():
    rng = np.random.default_rng(0)
    age = rng.integers(18, 90, 300).astype(float)
    age[::20] = np.nan
    table = pd.DataFrame(
        {"age": age, "contract": rng.choice(["month", "year"], 300), "calls": 1}
    )
    leaves = (table["age"] > 50) | (table["contract"] == "month")
    return table, leaves.map({True: "yes", False: "no"})


def readme():
    read = photos()
    X = ImageReader(size=32).transform(read.data)
    net = DistilledClassifier(SmallCNN, module__width=40, random_state=0)
    save_student(net.fit(X, read.target), "teacher.safetensors")
    return {}


def getting_started():
    photos()
    table, leaves = customers()
    table.assign(leaves=leaves).to_csv("customers.csv", index=False)
    return {}


def tables():
    X, y = customers()
    return {"X": X.assign(contract=X["contract"].astype("category")), "y": y}


def residual_network():
    X = np.random.RandomState(0).randint(0, 256, (16, 3, 8, 8)).astype(np.uint8)
    resnet = CifarResNet(2, (3, 8, 8), depth=8).eval()
    return {"resnet": resnet, "X": X, "y": [0, 1] * 8}


def losses():
    names = residual_network()
    images = torch.from_numpy(names["X"])
    used = {"DistilledClassifier": DistilledClassifier, "torch": torch}
    return {**names, **used, "images": images, "variance": 1.2}


def student():
    names = with_teacher()
    net = DistilledClassifier(teacher=names["teacher"], random_state=0)
    return {**names, "student": net.fit(names["X"], names["y"])}


def pitfalls():
    names = digits()
    forest = RandomForestClassifier(20, random_state=0).fit(names["X"], names["y"])
    svc = SVC(gamma=0.001).fit(names["X"], names["y"])
    return {**names, "forest": forest, "svc": svc, "network": MLP(3, (64,))}


def pytorch_tutorial():
    X = np.random.RandomState(0).randint(0, 256, (32, 3, 8, 8)).astype(np.uint8)
    deep = SmallCNN(2, (3, 8, 8), width=40).eval()
    half = {"X_train": X[:16], "y_train": [0, 1] * 8}
    return {
        "LightNN": SmallCNN,
        "deep": deep,
        **half,
        "X_test": X,
        "y_test": [0, 1] * 16,
    }


def keras():
    names = with_teacher()
    logits = names["teacher"].decision_function(names["X"])
    return {"X": names["X"], "y": names["y"], "logits_of_the_keras_model": logits}


def lightly_train():
    file = Path("out/my_experiment/exported_models/exported_last.pt")
    file.parent.mkdir(parents=True)
    torch.save(resnet18().state_dict(), file)
    X = np.random.RandomState(0).randint(0, 256, (8, 3, 32, 32)).astype(np.uint8)
    return {"images": X, "labels": [0, 1] * 4}


def autogluon():
    names = tables()
    trees = HistGradientBoostingClassifier(categorical_features="from_dtype")
    proba = trees.fit(names["X"], names["y"]).predict_proba(names["X"])
    return {**names, "probabilities_of_the_predictor": proba}


SETUPS = {
    "README": readme,
    "getting_started": getting_started,
    "user_guide/images": images,
    "user_guide/tables": tables,
    "user_guide/students": with_teacher,
    "user_guide/losses": losses,
    "user_guide/several_students": with_teacher,
    "user_guide/export": student,
    "user_guide/pitfalls": pitfalls,
    "coming_from/pytorch_tutorial": pytorch_tutorial,
    "coming_from/keras": keras,
    "coming_from/torchdistill": residual_network,
    "coming_from/lightly_train": lightly_train,
    "coming_from/autogluon": autogluon,
}
