"""What a running service exports: true figures under names that Prometheus knows, and no ids."""

import asyncio
import re
import time
import urllib.error
import urllib.request

import grpc
import psutil
import pytest
from defuse.v1.audit_service_pb2 import GetAuditRequest, WatchAuditRequest
from defuse.v1.audit_service_pb2_grpc import AuditServiceStub
from defuse.v1.label_service_pb2 import LabelAnswer
from defuse.v1.registry_service_pb2 import REGISTRATION_STATE_REJECTED
from defuse_server.worker.gpus import read_gpus

pytestmark = pytest.mark.xdist_group("metrics")


async def until(condition, patience_s=30.0):
    deadline_s = time.monotonic() + patience_s
    while not (holds := await condition()):
        assert time.monotonic() < deadline_s, "it did not come to hold"
        await asyncio.sleep(0.1)
    return holds


async def test_a_service_exports_what_it_did(service, backend, tiny, scrape):
    address, pages = await asyncio.to_thread(service.start, "up")
    api_url, worker_url = await asyncio.to_thread(service.urls, 2)
    assert (await asyncio.to_thread(scrape, api_url)).value("defuse_queue_jobs") == 0

    bad = await tiny.classifier(b"no model")
    await tiny.until(bad.name, lambda one: one.state == REGISTRATION_STATE_REJECTED)
    started = await tiny.audit(annotators_per_region=1)
    audit = await tiny.succeeded(started.name)

    # One answer, one lease that ends.
    first, second = await backend.labels.lease(audit.name, "ann", 2, 60.0)
    believed = LabelAnswer(label=(await backend.bugs.all(audit.name))[0].seed_label)
    for _ in range(2):
        await backend.labels.submit(first.region, first.lease_token, believed, "")
    await backend.labels.extend(second.region, second.lease_token, 0.01)
    await asyncio.sleep(0.1)
    await backend.labeling.task_states(audit.name)

    async with grpc.aio.insecure_channel(address) as channel:
        stub = AuditServiceStub(channel)
        await stub.GetAudit(GetAuditRequest(name=audit.name))
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.GetAudit(GetAuditRequest(name=f"audits/{'0' * 18}"))
        assert [one async for one in stub.WatchAudit(WatchAuditRequest(name=audit.name))]
    for path in ("/audits", f"/audits/{audit.name.partition('/')[2]}", "/nowhere"):
        await asyncio.to_thread(visit, pages + path)

    api = await asyncio.to_thread(scrape, api_url)
    assert api.value("defuse_rpcs_total", method="AuditService/GetAudit", code="OK") == 1
    assert api.value("defuse_rpcs_total", method="AuditService/GetAudit", code="NOT_FOUND") == 1
    assert api.value("defuse_rpcs_total", method="AuditService/CreateAudit", code="OK") == 0
    assert api.value("defuse_rpc_seconds_count", method="AuditService/GetAudit") == 2
    assert api.value("defuse_rpcs_total", method="AuditService/WatchAudit", code="OK") == 1
    assert api.value("defuse_open_streams", method="AuditService/WatchAudit") == 0
    assert api.value("defuse_page_requests_total", route="/audits", method="GET", status="200") == 1
    assert api.value("defuse_page_requests_total", route="/audits/{audit}", status="200") == 1
    assert api.value("defuse_page_requests_total", route="other", status="404") == 1
    assert api.value("defuse_label_answers_total") == 1
    assert api.value("defuse_leases_expired_total", of="label_task") == 1
    assert api.value("defuse_leases_expired_total", of="job") == 0
    assert api["defuse_open_label_tasks"] == len(await backend.bugs.all(audit.name)) - 1
    assert api["defuse_workers"] == 1
    assert api["defuse_redis_up"] == 1
    assert 0 < api["defuse_redis_ping_seconds_sum"] / api["defuse_redis_ping_seconds_count"] < 1
    assert api["defuse_store_free_bytes"] > 0
    assert api.value("defuse_build_info", process="up") == 1

    worker = await asyncio.to_thread(scrape, worker_url)
    assert worker["defuse_candidates_total"] == audit.candidate_count > 0
    assert worker["defuse_misclassifications_total"] == audit.misclassification_count > 0
    assert worker.value("defuse_jobs_ended_total", kind="audits", end="succeeded") == 1
    assert worker.value("defuse_jobs_ended_total", kind="classifiers", end="failed") == 1
    assert worker.value("defuse_jobs_ended_total", kind="classifiers", end="succeeded") == 0
    assert worker.value("defuse_job_failures_total", kind="classifiers", reason="MODEL_NOT_ONNX") == 1
    assert worker.value("defuse_job_seconds_count", kind="audits") == 1
    assert worker["defuse_engine_resident_memory_bytes"] == 0
    assert worker["process_resident_memory_bytes"] > 10_000_000

    for metrics in (api, worker):
        assert not re.search(r"(audits|classifiers|artifacts)/[0-9a-z]", metrics.text)
        names = [family.name for family in metrics.families]
        assert len(names) == len(set(names))
        assert all(re.fullmatch(r"(defuse|process)_[a-z_]+", name) for name in names)
        assert all(family.documentation for family in metrics.families)


def visit(url: str) -> None:
    try:
        with urllib.request.urlopen(url):
            pass
    except urllib.error.HTTPError:
        pass


async def test_jobs_show_by_kind_and_stage_while_they_wait_and_run(service, backend, tiny, scrape):
    """One audit runs and one waits; then their worker dies."""
    await asyncio.to_thread(service.start, "api")
    await asyncio.to_thread(service.start, "worker")
    api_url, worker_url = await asyncio.to_thread(service.urls, 2)
    running = await tiny.audit(candidates_per_seed=10_000)
    await tiny.until(running.name, lambda one: one.progress.stage == "identify")
    waiting = await tiny.audit()
    await asyncio.sleep(0.2)

    seen = await asyncio.to_thread(scrape, api_url)
    assert seen.value("defuse_running_jobs", kind="audits", stage="identify") == 1
    assert seen.value("defuse_queue_jobs", kind="audits") == 1
    assert seen.value("defuse_queue_oldest_seconds", kind="audits") > 0.1
    assert seen.value("defuse_queue_jobs") == 1
    assert seen["defuse_running_jobs_silent_seconds"] < 2
    worker = await asyncio.to_thread(scrape, worker_url)
    assert worker["defuse_engine_resident_memory_bytes"] > 10_000_000

    psutil.Process(service.pids[1]).kill()
    await asyncio.sleep(2.5)
    assert (await asyncio.to_thread(scrape, api_url))["defuse_running_jobs_silent_seconds"] > 2
    await asyncio.to_thread(service.start, "worker")

    async def taken_over():
        return (await asyncio.to_thread(scrape, api_url)).value("defuse_leases_expired_total", of="job")

    assert await until(taken_over) == 1
    for job in (running, waiting):
        await backend.jobs.cancel(job.name)
        await tiny.ended(job.name)


async def test_without_redis_a_process_still_exports_its_own(service, settings, scrape, tmp_path):
    service.settings = settings.model_copy(update={"redis_url": None})
    await asyncio.to_thread(service.start, "up")
    api_url, _ = await asyncio.to_thread(service.urls, 2)
    assert (await asyncio.to_thread(scrape, api_url))["defuse_redis_up"] == 1
    (valkey,) = [
        child
        for child in psutil.Process(service.pids[0]).children()
        if "valkey" in " ".join(child.cmdline()) and "dies_with_parent" not in " ".join(child.cmdline())
    ]
    valkey.suspend()
    try:

        async def down():
            seen = await asyncio.to_thread(scrape, api_url)
            return seen if seen["defuse_redis_up"] == 0 else None

        seen = await until(down)
        with pytest.raises(KeyError):
            seen.value("defuse_queue_jobs")
        assert seen["process_resident_memory_bytes"] > 0
    finally:
        valkey.resume()


@pytest.mark.gpu
@pytest.mark.skipif(not read_gpus(), reason="needs an NVIDIA driver")
def test_a_gpu_tells_its_memory_and_its_load():
    for gpu in read_gpus():
        assert 0 <= gpu.used_bytes <= gpu.total_bytes
        assert gpu.busy_ratio is None or 0 <= gpu.busy_ratio <= 1
