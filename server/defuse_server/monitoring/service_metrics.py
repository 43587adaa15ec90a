"""Metrics of the whole service. Each API process exports them alike: take their `max`, not their `sum`."""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Sequence
from typing import Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from defuse_server.backend import Backend
from defuse_server.errors import BackendUnavailable
from defuse_server.host.cancellation import within
from defuse_server.monitoring.overview import Overview, overview
from defuse_server.monitoring.readiness import PATIENCE_S, problem
from defuse_server.records.kinds import KINDS

STAGES: Final = frozenset(
    ("inspect", "preflight", "neighbourhood", "identify", "distill", "correct", "verify", "train")
)
"""The engine's stages. It opens strangers' models, so no other word of it becomes a label."""

_STORE_INTERVAL_S: Final = 300.0
_STORE_SHARE: Final = 0.05
"""Looking through the store may take this share of the time."""

_STORE_PATIENCE_S: Final = PATIENCE_S / 2
"""A store that hangs must not keep the other metrics from the scraper."""

_log = structlog.get_logger(__name__)


class ServiceMetrics:
    """Reads the metrics of the service behind a backend. `keep_measuring` measures the store."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._store_bytes: int | None = None

    async def read(self) -> list[Metric]:
        """Return the metrics. Raises the errors of an unreachable Redis."""
        seen, store = await asyncio.gather(overview(self._backend), self._store())
        return [*_jobs(seen), *_labels(seen), *_leases(seen), *store]

    async def keep_measuring(self) -> None:
        """Measure the store now and then, until this task is cancelled."""
        while True:
            start_s = time.monotonic()
            try:
                self._store_bytes = await self._backend.store.size_bytes()
            except BackendUnavailable as error:
                # A file may also have been removed meanwhile.
                _log.info("store.not_measured", error=str(error))
            taken_s = time.monotonic() - start_s
            await asyncio.sleep(max(_STORE_INTERVAL_S, taken_s / _STORE_SHARE))

    async def _store(self) -> list[Metric]:
        size = GaugeMetricFamily(
            "defuse_store_bytes", "Size of the artifact store, with unfinished uploads, some minutes ago."
        )
        free = GaugeMetricFamily(
            "defuse_store_free_bytes", "Free space on the disk of a local artifact store."
        )
        up = GaugeMetricFamily(
            "defuse_store_up",
            "1 if the artifact store can be used, or 0.",
            value=not await problem(self._backend.store.probe(), _STORE_PATIENCE_S),
        )
        if self._store_bytes is not None:
            size.add_metric([], self._store_bytes)
        with contextlib.suppress(BackendUnavailable, TimeoutError):
            free_bytes = await within(self._backend.store.free_bytes(), _STORE_PATIENCE_S / 2)
            if free_bytes is not None:
                free.add_metric([], free_bytes)
        return [up, size, free]


def _jobs(seen: Overview) -> Sequence[Metric]:
    waiting = GaugeMetricFamily("defuse_queue_jobs", "Jobs that wait for a worker, by kind.", labels=["kind"])
    oldest = GaugeMetricFamily(
        "defuse_queue_oldest_seconds", "How long the oldest job of a kind has waited.", labels=["kind"]
    )
    found = {one.kind: one for one in seen.queued}
    for kind in (kind.collection for kind in KINDS):
        waiting.add_metric([kind], found[kind].count if kind in found else 0)
        oldest.add_metric([kind], found[kind].oldest_s if kind in found else 0)
    running = GaugeMetricFamily(
        "defuse_running_jobs",
        "Jobs that workers have, by kind and stage; the stage is none before the first.",
        labels=["kind", "stage"],
    )
    stages = Counter((job.kind, _stage(job.progress.stage)) for job in seen.running)
    for labels, count in sorted(stages.items()):
        running.add_metric(labels, count)
    silent = GaugeMetricFamily(
        "defuse_running_jobs_silent_seconds",
        "Time since the worker's last sign of life of that running job that has been silent longest.",
        value=max((job.silent_s for job in seen.running), default=0.0),
    )
    awaiting = GaugeMetricFamily(
        "defuse_evaluations_awaiting_audit",
        "Evaluations that wait for their audit.",
        value=seen.awaiting_audit,
    )
    workers = GaugeMetricFamily("defuse_workers", "Workers that live.", value=len(seen.workers))
    return [waiting, oldest, running, silent, awaiting, workers]


def _stage(stage: str) -> str:
    return stage if stage in STAGES else "other" if stage else "none"


def _labels(seen: Overview) -> Sequence[Metric]:
    return [
        GaugeMetricFamily(
            "defuse_open_label_tasks",
            "Label tasks of the newest 500 audits that an annotator could lease.",
            value=sum(labeling.tasks for labeling in seen.labelings),
        ),
        CounterMetricFamily(
            "defuse_label_answers_total",
            "Answers of annotators and of imported files that were counted.",
            value=seen.counters.get("label_answers", 0),
        ),
    ]


def _leases(seen: Overview) -> Sequence[Metric]:
    expired = CounterMetricFamily(
        "defuse_leases_expired_total",
        "Leases that ended because their holder was silent: of jobs (the worker died) and of label tasks.",
        labels=["of"],
    )
    expired.add_metric(["job"], seen.counters.get("job_leases_expired", 0))
    expired.add_metric(["label_task"], seen.counters.get("label_leases_expired", 0))
    return [expired]
