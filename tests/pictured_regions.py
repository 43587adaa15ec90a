"""Audits with regions that have pictures, as a worker publishes them, without a search."""

from __future__ import annotations

import io
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from defuse.v1.audit_service_pb2 import Audit, NearestItem, Region
from defuse.v1.models_pb2 import ContactSheet, Interval, JobState
from defuse.v1.registry_service_pb2 import Dataset
from defuse_server import redis_keys
from defuse_server.findings.regions import Regions
from defuse_server.host.redis_client import connect
from defuse_server.labels.labeling import Labeling
from defuse_server.labels.queue import LabelQueue
from defuse_server.names import region_name
from defuse_server.records.creation import NewResource
from defuse_server.records.resources import Resources
from defuse_server.store.artifacts import ArtifactStore
from PIL import Image, ImageDraw

SIDE = 60
COLUMNS = 4
COUNT = 16


@dataclass(frozen=True)
class Shown:
    """A region whose samples show `label`, which the classifier reads as `predicted_class`."""

    label: int
    predicted_class: int
    seed_label: int


async def publish_audit(
    redis_url: str, store_url: str, shown: Sequence[Shown], class_names: Sequence[str], wanted: int = 1
) -> str:
    """The name of a finished audit with these regions, open to annotators."""
    redis = connect(redis_url)
    resources = Resources(redis)
    labels = LabelQueue(redis, resources)
    regions, store = Regions(redis, Labeling(redis, resources)), ArtifactStore(store_url)
    dataset, _ = await resources.create(
        NewResource(Dataset(class_names=class_names, display_name="drawn digits"), str(uuid.uuid4()), b"")
    )
    audit, _ = await resources.create(
        NewResource(
            Audit(dataset=dataset.name, display_name="pictured"),
            str(uuid.uuid4()),
            b"",
            references=[dataset.name],
        )
    )
    running = {"state": JobState.JOB_STATE_RUNNING, "attempt": 1}
    await redis.hset(redis_keys.resource(audit.name), mapping=running)
    for number, entry in enumerate(shown):
        region = _region(audit.name, number, entry)
        for sheet, salt in ((region.sheet, 0), (region.nearest_sheet, 1)):
            sheet.artifact = (await store.put_bytes(picture(entry.label, number + salt / 2))).name
        await regions.publish(audit.name, region, 1)
    await labels.open(audit.name, range(len(shown)), wanted)
    await redis.hset(redis_keys.resource(audit.name), "state", JobState.JOB_STATE_SUCCEEDED)
    await resources.aclose()
    await redis.aclose()
    return audit.name


async def standing(redis_url: str, audit: str):
    """Where the labeling of each region stands: number -> RegionLabel."""
    redis = connect(redis_url)
    labels = await Labeling(redis, Resources(redis)).labels(audit)
    await redis.aclose()
    return labels


def picture(label: int, seed: float) -> bytes:
    """A contact sheet on which every tile shows the number `label`."""
    draw = random.Random(seed)
    sheet = Image.new("L", (COLUMNS * SIDE, COUNT // COLUMNS * SIDE), 20)
    for place in range(COUNT):
        left, top = place % COLUMNS * SIDE, place // COLUMNS * SIDE
        jitter = (left + draw.randint(8, 24), top + draw.randint(4, 20))
        ImageDraw.Draw(sheet).text(jitter, str(label), fill=draw.randint(150, 255), font_size=28)
    stream = io.BytesIO()
    sheet.save(stream, format="PNG")
    return stream.getvalue()


def _region(audit: str, number: int, entry: Shown) -> Region:
    sheet = ContactSheet(
        columns=COLUMNS, rows=COUNT // COLUMNS, tile_width=SIDE, tile_height=SIDE, count=COUNT
    )
    place = random.Random(number)
    return Region(
        name=region_name(audit, number),
        predicted_class=entry.predicted_class,
        seed_label=entry.seed_label,
        size=40 - number % 30,
        confidence=0.9,
        bug_probability=0.97,
        misclassification_rate=Interval(value=0.9, lower=0.8, upper=0.96, samples=100),
        harm=Interval(value=1e-4 / (number + 1), lower=1e-5 / (number + 1), upper=2e-4, samples=100),
        mean=[place.gauss(entry.predicted_class, 0.4), place.gauss(entry.label, 0.4), place.gauss(0, 0.1)],
        sheet=sheet,
        nearest_sheet=sheet,
        nearest=[NearestItem(split="train", index=place, label=entry.label) for place in range(COUNT)],
    )
