"""The engine's arrays as the messages that clients read."""

import numpy as np
import pytest
from defuse.v1.audit_service_pb2 import SEARCH_METHOD_GRADIENT, StreamMisclassificationsResponse
from defuse_server.findings.chunk_messages import chunk_messages
from defuse_server.findings.chunks import Chunk
from defuse_server.worker.transcode import MESSAGE_RECORDS, delimited_chunk, region_message


def chunk_file(folder, count, dimensions=3):
    rng = np.random.default_rng(0)
    path = folder / "chunk.npz"
    np.savez(
        path,
        codes=rng.standard_normal((count, dimensions)).astype(np.float32),
        seed_index=np.arange(count, dtype=np.int64),
        seed_split=np.zeros(count, np.uint8),
        seed_label=np.full(count, 3, np.int32),
        predicted_class=np.full(count, 5, np.int32),
        confidence=np.full(count, 0.75, np.float32),
        delta_norm=np.full(count, 1.5, np.float32),
        agreement=np.full(count, np.nan, np.float32),
        bug_probability=np.full(count, 0.875, np.float32),
        method=np.full(count, SEARCH_METHOD_GRADIENT, np.uint8),
        candidates=np.int64(10 * count),
        seeds=np.int64(count),
    )
    return path


@pytest.mark.parametrize("count", [0, 1, MESSAGE_RECORDS, 2 * MESSAGE_RECORDS + 1])
async def test_every_record_arrives_once_in_messages_of_bounded_size(store, tmp_path, count):
    path = chunk_file(tmp_path, count)
    stored = await store.put_bytes(delimited_chunk(path, shard=4))
    chunk = Chunk(4, stored.sha256, stored.size_bytes, count, 10 * count, "")
    messages = [
        StreamMisclassificationsResponse.FromString(data) async for data in chunk_messages(store, chunk)
    ]
    assert [message.cursor for message in messages] == [f"4.{n}" for n in range(len(messages))]
    assert all(0 < len(message.misclassifications) <= MESSAGE_RECORDS for message in messages)
    records = [record for message in messages for record in message.misclassifications]
    assert [record.seed_index for record in records] == list(range(count))
    if count:
        first = records[0]
        assert (first.seed_label, first.predicted_class, first.confidence) == (3, 5, 0.75)
        assert first.delta_norm == 1.5
        assert (first.bug_probability, first.method) == (0.875, SEARCH_METHOD_GRADIENT)
        # Where no neighbourhood was asked there is no share.
        assert first.agreement == 0.0
        np.testing.assert_array_equal(np.float32(first.code), np.load(path)["codes"][0])


def region(**fields):
    sheet = {"file": "s", "samples_file": "n", "columns": 1, "rows": 1, "count": 1}
    sheet |= {"tile_width": 12, "tile_height": 12, "frame": 2, "zoom": 1}
    rate = {"value": 0.5, "lower": 0.25, "upper": 0.75, "samples": 8}
    return {
        "index": 2,
        "weight": 0.5,
        "size": 12,
        "seed_label": 3,
        "predicted_class": 5,
        "confidence": 0.75,
        "misclassification_rate": rate,
        "mean": [0.0, 1.0],
        "tau": 0.5,
        "sheet": sheet,
        "nearest_sheet": sheet,
        "nearest": [{"split": "train", "index": 9, "label": 3, "distance": 0.5}],
        "bug_probability": 0.875,
        "label_probability": 0.75,
        "harm": {"value": 0.01, "lower": 0.005, "upper": 0.02, "samples": 1000},
        **fields,
    }


def test_a_region_brings_its_harm_with_its_interval():
    message = region_message("audits/a", region(), "artifacts/{}".format, "artifacts/r")
    assert message.name == "audits/a/regions/2"
    assert (message.misclassification_rate.lower, message.misclassification_rate.samples) == (0.25, 8)
    assert (message.bug_probability, message.label_probability) == (0.875, 0.75)
    assert (message.harm.value, message.harm.lower, message.harm.upper) == (0.01, 0.005, 0.02)
    assert message.harm.samples == 1000
    assert message.sheet.artifact == "artifacts/s"
    assert message.sheet.samples_artifact == "artifacts/n"
    assert (message.sheet.frame, message.sheet.zoom) == (2, 1)


def test_a_file_with_pickled_objects_is_not_opened(tmp_path):
    path = tmp_path / "chunk.npz"
    np.savez(path, codes=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ValueError, match="pickle"):
        delimited_chunk(path, 0)
