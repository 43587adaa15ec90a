"""Turns the engine's files into the messages that clients read.

The worker transcodes a chunk once, so the API passes the bytes through and needs no numpy. A transcoded chunk
is a sequence of messages, each preceded by its length as a varint. Every message has the cursor that comes
after it: `{shard}.{message}`, where messages count from 0 within the shard.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from defuse.v1 import audit_service_pb2 as pb
from defuse.v1.models_pb2 import ContactSheet
from google.protobuf.proto import serialize_length_prefixed

from defuse_server.names import bug_name, region_name
from defuse_server.store.artifacts import ArtifactStore

MESSAGE_RECORDS = 500
"""Misclassifications in one message, about 140 KB with 64-dimensional codes."""

SHEETS: Final = ("sheet", "nearest_sheet")
"""The contact sheets of a bug, a region or a gold task."""

_COLUMNS: Final = [field.name for field in pb.Misclassification.DESCRIPTOR.fields if field.name != "code"]
"""Arrays of a chunk file with one number for each misclassification. They have the names of its fields."""

_REGION_FIGURES: Final = (
    *("weight", "size", "seed_label", "predicted_class", "confidence", "misclassification_rate"),
    *("mean", "tau", "nearest", "bug_probability", "label_probability", "harm"),
)
"""Entries of a result's `regions` that a Region has under the same names."""

_BUG_FIGURES: Final = (
    *("seed_label", "predicted_class", "seed_count", "size", "bug_probability", "label_probability"),
    *("harm", "harm_share", "nearest"),
)
"""Entries of a result's `bugs` that a Bug has under the same names."""

Artifacts = Callable[[str], str]
"""Returns the name of the artifact for a file of the job folder."""


def delimited_chunk(chunk_file: Path, shard: int) -> bytes:
    """Transcode one chunk file. A shard without misclassifications has no messages, so no bytes.

    Raises `ValueError` or `OSError` if the file is not a chunk.
    """
    chunk = io.BytesIO()
    for message in _messages(chunk_file, shard):
        serialize_length_prefixed(message, chunk)
    return chunk.getvalue()


def _messages(chunk_file: Path, shard: int) -> Iterator[pb.StreamMisclassificationsResponse]:
    with np.load(chunk_file, allow_pickle=False) as arrays:
        codes = arrays["codes"]
        columns = {name: arrays[name].tolist() for name in _COLUMNS}
        # NaN if no neighbourhood was asked; the message has 0 then.
        columns["agreement"] = np.nan_to_num(arrays["agreement"], nan=0.0).tolist()
    for number, start in enumerate(range(0, len(codes), MESSAGE_RECORDS)):
        yield pb.StreamMisclassificationsResponse(
            misclassifications=(
                pb.Misclassification(
                    code=codes[row].tolist(), **{name: values[row] for name, values in columns.items()}
                )
                for row in range(start, min(start + MESSAGE_RECORDS, len(codes)))
            ),
            cursor=f"{shard}.{number}",
        )


async def stored_sheets(
    store: ArtifactStore, shown: Mapping[str, Any], folder: Path, kinds: Sequence[str] = SHEETS
) -> Artifacts:
    """Store the sheets of a bug, a region or a gold task. Returns the artifact of each file."""
    files = [shown[kind][file] for kind in kinds for file in ("file", "samples_file")]
    stored = {file: (await store.put_file(folder / file)).name for file in files}
    return stored.__getitem__


def region_message(
    audit: str, region: Mapping[str, Any], artifact: Artifacts, regions_artifact: str
) -> pb.Region:
    """Return an entry of a result's `regions` as the message that clients get, without a label."""
    return pb.Region(
        name=region_name(audit, region["index"]),
        state=pb.REGION_STATE_UNLABELED,
        parent=region_name(audit, region["parent"]) if "parent" in region else "",
        regions_artifact=regions_artifact,
        **{kind: contact_sheet_message(region[kind], artifact) for kind in SHEETS},
        **{name: region[name] for name in _REGION_FIGURES},
    )


def bug_message(audit: str, bug: Mapping[str, Any], artifact: Artifacts) -> pb.Bug:
    """Return an entry of a result's `bugs` as the message that clients get, without a label."""
    return pb.Bug(
        name=bug_name(audit, bug["index"]),
        state=pb.REGION_STATE_UNLABELED,
        cells=[region_name(audit, cell) for cell in bug["cells"]],
        sheet=contact_sheet_message(bug["sheet"], artifact),
        shown_cells=[region_name(audit, cell) for cell in bug["shown_cells"]],
        nearest_sheet=contact_sheet_message(bug["nearest_sheet"], artifact),
        parent=bug_name(audit, bug["parent"]) if "parent" in bug else "",
        **{name: bug[name] for name in _BUG_FIGURES},
    )


def contact_sheet_message(sheet: Mapping[str, Any], artifact: Artifacts) -> ContactSheet:
    """Return a sheet of `result.json` as a message. `artifact` names the artifact of a file."""
    layout = {name: value for name, value in sheet.items() if name not in ("file", "samples_file")}
    return ContactSheet(
        artifact=artifact(sheet["file"]), samples_artifact=artifact(sheet["samples_file"]), **layout
    )
