"""A fake server's label service."""

import hashlib

from defuse.messages import Artifact, ContactSheet, LabelingProgress, LabelTask, RegionState
from defuse.v1.artifact_service_pb2 import DownloadResponse
from defuse.v1.label_service_pb2 import (
    LeaseLabelTasksResponse,
    ReleaseLabelTaskResponse,
    SkipLabelTaskResponse,
    SubmitLabelResponse,
    UndoLabelResponse,
)


class Labeling:
    """Hands out regions in their order, as long as they have no answer and no lease."""

    def __init__(self, server, count, png):
        self.free = list(range(count))
        self.answers = {}
        self.released = []
        self.skipped = {}
        digest = hashlib.sha256(png).hexdigest()
        sheet = Artifact(name=f"artifacts/{digest}", sha256=digest, size_bytes=len(png))
        self.sheet = ContactSheet(artifact=sheet.name, count=4)
        server.on("ArtifactService/GetArtifact", sheet)
        server.on("ArtifactService/Download", lambda request: iter([DownloadResponse(data=png)]))
        server.on("LabelService/LeaseLabelTasks", self.lease)
        server.on("LabelService/SubmitLabel", self.submit)
        server.on("LabelService/UndoLabel", self.undo)
        server.on("LabelService/ReleaseLabelTask", self.release)
        server.on("LabelService/SkipLabelTask", self.skip)
        server.on("LabelService/GetLabelingProgress", LabelingProgress(region_count=count))

    def lease(self, request):
        leased = [self.free.pop(0)] if self.free else []
        tasks = [
            LabelTask(
                region=f"audits/a/regions/{number}",
                sheet=self.sheet,
                class_names=["cat", "dog"],
                lease_token=f"token-{number}",
            )
            for number in leased
        ]
        return LeaseLabelTasksResponse(tasks=tasks)

    def submit(self, request):
        number = int(request.region.rpartition("/")[2])
        assert request.lease_token == f"token-{number}"
        self.answers[number] = str(request.answer).strip()
        return SubmitLabelResponse(state=RegionState.REGION_STATE_LABELED, answer_count=1, wanted_count=1)

    def undo(self, request):
        number = int(request.region.rpartition("/")[2])
        del self.answers[number]
        self.free.insert(0, number)
        return UndoLabelResponse()

    def skip(self, request):
        self.skipped[request.region] = request.reason
        return SkipLabelTaskResponse()

    def release(self, request):
        self.released.append(request.region)
        return ReleaseLabelTaskResponse()
