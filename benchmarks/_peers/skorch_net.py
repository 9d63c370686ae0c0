"""skorch with ``get_loss`` overridden, as a user of skorch would write it."""

import torch
from skorch import NeuralNetClassifier
from torch.nn import functional as F

PACKAGE = "skorch"
NAME = "(d) skorch, own get_loss"


class DistillationNet(NeuralNetClassifier):
    """Asks its teacher about every batch."""

    def __init__(self, *args, teacher, temperature, alpha, **kwargs):
        self.teacher, self.temperature, self.alpha = teacher, temperature, alpha
        super().__init__(*args, **kwargs)

    def get_loss(self, y_pred, y_true, X=None, training=False):
        """Weigh the labels and the teacher."""
        T, loss = self.temperature, super().get_loss(y_pred, y_true, X, training)
        if not training:
            return loss
        with torch.no_grad():
            soft = F.softmax(self.teacher(X) / T, dim=-1)
        student = F.log_softmax(y_pred / T, dim=-1)
        kl = F.kl_div(student, soft, reduction="batchmean") * T**2
        return (1 - self.alpha) * loss + self.alpha * kl


def prepare(task, seed):
    """Return the call of ``fit``."""
    optimizer_kwargs = {f"optimizer__{k}": v for k, v in task.optimizer_kwargs.items()}
    net = DistillationNet(
        task.student(seed),
        teacher=task.teacher.eval(),
        temperature=task.temperature,
        alpha=task.alpha,
        criterion=torch.nn.CrossEntropyLoss,
        optimizer=getattr(torch.optim, task.optimizer),
        lr=task.lr,
        max_epochs=task.epochs,
        batch_size=task.batch_size,
        train_split=None,
        iterator_train__shuffle=True,
        verbose=0,
        device="cpu",
        **optimizer_kwargs,
    )
    X, y = task.X.numpy(), task.y.numpy()
    return lambda: net.fit(X, y).module_
