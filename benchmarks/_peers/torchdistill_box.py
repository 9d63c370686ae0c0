"""torchdistill's DistillationBox with its KDLoss, configured as in its examples.

Its examples drive it from a YAML file; this is the same as a dict, and their loop
(examples/torchvision/image_classification.py) without logging and validation.
"""

import logging

import torch
from torch.utils.data import RandomSampler, TensorDataset

PACKAGE = "torchdistill"
NAME = "(b) torchdistill"


def prepare(task, seed):
    """Return the loop around the box."""
    from torchdistill.core.distillation import get_distillation_box

    logging.getLogger("torchdistill").setLevel(logging.WARNING)
    student, device = task.student(seed), torch.device("cpu")
    datasets = {"train": TensorDataset(task.X, task.y)}

    def train():
        box = get_distillation_box(
            task.teacher, student, datasets, config(task), device, None, False, 1
        )
        task.teacher.eval()
        for epoch in range(box.num_epochs):
            box.pre_epoch_process(epoch=epoch)
            for inputs, labels, extra in box.train_data_loader:
                loss = box.forward_process(inputs, labels, extra)
                box.post_forward_process(loss=loss)
            box.post_epoch_process()
        box.clean_modules()
        task.teacher.requires_grad_(False)  # the box has switched them on
        return student

    return train


def config(task):
    """Return the training part of a configuration of torchdistill."""
    both = {"forward_proc": "forward_batch_only"}
    loss = {
        "student_module_path": ".",
        "student_module_io": "output",
        "teacher_module_path": ".",
        "teacher_module_io": "output",
        "temperature": task.temperature,
        "alpha": 1 - task.alpha,  # of the labels
        "reduction": "batchmean",
    }
    kd = {"criterion": {"key": "KDLoss", "kwargs": loss}, "weight": 1.0}
    return {
        "num_epochs": task.epochs,
        "train_data_loader": {
            "dataset_id": "train",
            "sampler": {"class_or_func": RandomSampler},
            "kwargs": {"batch_size": task.batch_size, "num_workers": 0},
        },
        "teacher": {**both, "requires_grad": False},
        "student": {**both, "requires_grad": True},
        "optimizer": {
            "key": task.optimizer,
            "kwargs": {"lr": task.lr, **task.optimizer_kwargs},
        },
        "criterion": {"key": "WeightedSumLoss", "kwargs": {"sub_terms": {"kd": kd}}},
    }
