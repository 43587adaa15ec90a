"""RegistryService's calls about the training of VAEs."""

from contextlib import aclosing
from typing import cast

from defuse.v1.models_pb2 import JobState
from defuse.v1.registry_service_pb2 import (
    CancelVaeTrainingRequest,
    Classifier,
    Dataset,
    GetVaeTrainingRequest,
    ListVaeTrainingsRequest,
    ListVaeTrainingsResponse,
    TrainVaeRequest,
    VaeTraining,
    WatchVaeTrainingRequest,
    WatchVaeTrainingResponse,
)

from defuse_server import validation
from defuse_server.api import compatibility, configs
from defuse_server.api.creation import started
from defuse_server.api.lookup import check_name, found, ready
from defuse_server.api.rpc import Write
from defuse_server.backend import Backend
from defuse_server.validation import Violations


class VaeTrainings:
    """Trains VAEs for classifiers and datasets; see registry_service.proto."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._resources = backend.resources

    async def train_vae(self, request: TrainVaeRequest) -> VaeTraining:
        """Makes a training."""
        _check_train(request)
        classifier = await ready(self._resources, Classifier, request.classifier, "classifier")
        dataset = await ready(self._resources, Dataset, request.dataset, "dataset")
        compatibility.classifier_fits(classifier, dataset)
        training = VaeTraining(
            display_name=request.display_name,
            classifier=classifier.name,
            dataset=dataset.name,
            config=request.config,
        )
        references = [classifier.name, dataset.name]
        return await started(self._backend, training, request, request.request_id, references)

    async def get_vae_training(self, request: GetVaeTrainingRequest) -> VaeTraining:
        """A training as it stands."""
        return await found(self._resources, VaeTraining, request.name)

    async def list_vae_trainings(self, request: ListVaeTrainingsRequest) -> ListVaeTrainingsResponse:
        """A page of trainings, newest first."""
        validation.check_state(request.state, JobState)
        trainings, token = await self._resources.list(
            VaeTraining, request.page_size, request.page_token, request.state
        )
        return ListVaeTrainingsResponse(vae_trainings=trainings, next_page_token=token)

    async def watch_vae_training(self, request: WatchVaeTrainingRequest, write: Write) -> None:
        """The training whenever it changes."""
        check_name(VaeTraining, request.name)
        async with aclosing(self._resources.watch(request.name, request.cursor)) as changes:
            async for training, cursor in changes:
                await write(
                    WatchVaeTrainingResponse(vae_training=cast("VaeTraining", training), cursor=cursor)
                )

    async def cancel_vae_training(self, request: CancelVaeTrainingRequest) -> VaeTraining:
        """Asks a training to stop."""
        check_name(VaeTraining, request.name)
        return cast("VaeTraining", await self._backend.jobs.cancel(request.name))


def _check_train(request: TrainVaeRequest) -> None:
    violations = Violations()
    validation.creation(violations, request)
    validation.name(violations, "classifier", request.classifier, "classifiers")
    validation.name(violations, "dataset", request.dataset, "datasets")
    configs.job_config(violations, request.config)
    violations.check()
