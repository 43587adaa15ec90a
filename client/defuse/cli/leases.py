"""Extends an annotator's leases while they think."""

import threading
from contextlib import suppress
from typing import Self

from defuse.client import Client
from defuse.errors import DefuseError, FailedPrecondition, NotFound
from defuse.messages import LabelTask


class HeldLeases:
    """Leased tasks, which a thread extends. At the end, those that are still held are given back."""

    def __init__(self, client: Client, lease_s: float) -> None:
        self._client = client
        self._lease_s = lease_s
        self._held: dict[str, LabelTask] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._extend, name="lease extension", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for task in list(self._held.values()):
            self.give_back(task)

    def hold(self, task: LabelTask) -> None:
        """Extend this task's lease from now on."""
        with self._lock:
            self._held[task.region] = task

    def drop(self, task: LabelTask) -> None:
        """Stop extending this task's lease: it is answered, or lost."""
        with self._lock:
            self._held.pop(task.region, None)

    def give_back(self, task: LabelTask) -> None:
        """Let others have this task. If the server can't be reached, the lease runs out by itself."""
        self.drop(task)
        with suppress(DefuseError):
            self._client.release_task(task, timeout_s=2)

    def _extend(self) -> None:
        while not self._over.wait(self._lease_s / 3):
            with self._lock:
                held = list(self._held.values())
            for task in held:
                self._extend_one(task)

    def _extend_one(self, task: LabelTask) -> None:
        try:
            self._client.extend_lease(task, lease_s=self._lease_s)
        except (FailedPrecondition, NotFound):
            self.drop(task)
        except DefuseError:
            # The next round may still save the lease. If not, submitting the answer says that it is lost.
            return
