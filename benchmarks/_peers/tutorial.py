"""The loop of PyTorch's knowledge distillation tutorial.

https://docs.pytorch.org/tutorials/beginner/knowledge_distillation_tutorial.html

The tutorial reads torchvision's CIFAR10 with ToTensor and Normalize and two workers:
on MNIST that alone takes 3.5 s an epoch. Here the rows are tensors already, which a
DataLoader without workers fetches a batch at a time (0.2 s an epoch; 0.8 s with two).
"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

PACKAGE = "torch"
NAME = "(a) the tutorial's loop"


def prepare(task, seed):
    """Return the loop."""
    train_loader = DataLoader(
        TensorDataset(task.X, task.y), batch_size=task.batch_size, shuffle=True
    )
    student, teacher, T = task.student(seed), task.teacher, task.temperature

    def train():
        ce_loss = nn.CrossEntropyLoss()
        optimizer = task.new_optimizer(student)
        teacher.eval()
        student.train()
        for _ in range(task.epochs):
            running_loss = 0.0
            for inputs, labels in train_loader:
                optimizer.zero_grad()
                with torch.no_grad():
                    teacher_logits = teacher(inputs)
                logits = student(inputs)
                soft_targets = nn.functional.softmax(teacher_logits / T, dim=-1)
                soft_prob = nn.functional.log_softmax(logits / T, dim=-1)
                divergence = soft_targets * (soft_targets.log() - soft_prob)
                soft_loss = torch.sum(divergence) / len(inputs) * T**2
                label_loss = ce_loss(logits, labels)
                loss = task.alpha * soft_loss + (1 - task.alpha) * label_loss
                loss.backward()
                optimizer.step()
                running_loss += loss.item()
        return student

    return train
