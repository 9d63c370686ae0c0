"""Plugins of distributed: a teacher for the workers, and its end."""

from __future__ import annotations

from typing import Any

from distributed.diagnostics.plugin import SchedulerPlugin, WorkerPlugin

from skkd._estimator.sent_teacher import DELIVERED, Delivered
from skkd._estimator.workers import Key


class TeacherPlugin(WorkerPlugin):
    """Brings the pickle of a teacher to each worker.

    Parameters
    ----------
    client_id : str
    key : (str, str)
    pickled : bytes
    """

    def __init__(self, client_id: str, key: Key, pickled: bytes) -> None:
        # A teacher that was changed takes the place of what it was.
        self.name = f"{_prefix(client_id)}{key[0]}"
        self.key, self.pickled = key, pickled

    def setup(self, worker: Any) -> None:
        """Keep the pickle."""
        DELIVERED[self.key] = Delivered(self.key, self.pickled)
        self.pickled = b""

    def teardown(self, worker: Any) -> None:
        """Drop the teacher."""
        DELIVERED.pop(self.key, None)


class TakeBack(SchedulerPlugin):
    """Drops the teachers of a client when it goes: the cluster may stay for months.

    Parameters
    ----------
    client_id : str
    """

    idempotent = True

    def __init__(self, client_id: str) -> None:
        self.client_id, self.name = client_id, f"{_prefix(client_id)}end"

    def remove_client(self, scheduler: Any, client: str) -> None:
        """Drop the teachers, if it is this client."""
        if client != self.client_id or scheduler.status.name != "running":
            return
        names = [n for n in scheduler.worker_plugins if n.startswith(_prefix(client))]
        for name in names:
            scheduler.loop.add_callback(
                scheduler.unregister_worker_plugin, None, name=name
            )
        scheduler.loop.add_callback(scheduler.remove_plugin, name=self.name)


def _prefix(client_id: str) -> str:
    return f"skkd-teacher-{client_id}-"
