"""Registering classifiers, VAEs and datasets."""

import uuid

import grpc
import pytest
from defuse.v1.error_reason_pb2 import ERROR_REASON_LIMIT_EXCEEDED
from defuse.v1.models_pb2 import Failure, Preprocessing
from defuse.v1.registry_service_pb2 import (
    DeleteClassifierRequest,
    DeleteDatasetRequest,
    DeleteVaeRequest,
    GetClassifierRequest,
    GetDatasetRequest,
    GetVaeRequest,
    ListClassifiersRequest,
    ListDatasetsRequest,
    ListVaesRequest,
    RegisterClassifierRequest,
    RegisterDatasetRequest,
    RegisterVaeRequest,
    RegistrationState,
    VaeSpread,
    VaeTensors,
    WatchDatasetRequest,
    WatchVaeRequest,
)
from defuse_server.worker.fence import Fence

INSPECTING = RegistrationState.REGISTRATION_STATE_INSPECTING
READY = RegistrationState.REGISTRATION_STATE_READY
REJECTED = RegistrationState.REGISTRATION_STATE_REJECTED
ABSENT = f"artifacts/{'0' * 64}"


def request_id() -> str:
    return str(uuid.uuid4())


async def test_what_is_registered_can_be_read(stubs, records):
    artifact = await records.artifact(b"bytes")
    classifier = await stubs.registry.RegisterClassifier(
        RegisterClassifierRequest(request_id=request_id(), display_name="net", artifact=artifact)
    )
    assert (classifier.state, classifier.display_name, classifier.artifact) == (INSPECTING, "net", artifact)
    assert classifier.create_time.seconds > 0
    assert classifier == await stubs.registry.GetClassifier(GetClassifierRequest(name=classifier.name))
    vae = await stubs.registry.RegisterVae(
        RegisterVaeRequest(request_id=request_id(), encoder_artifact=artifact, decoder_artifact=artifact)
    )
    assert vae == await stubs.registry.GetVae(GetVaeRequest(name=vae.name))
    dataset = await stubs.registry.RegisterDataset(
        RegisterDatasetRequest(request_id=request_id(), artifact=artifact, class_names=["a", "b"])
    )
    assert dataset == await stubs.registry.GetDataset(GetDatasetRequest(name=dataset.name))


async def test_a_registration_is_watched_until_its_inspection_has_ended(stubs, records, backend, refused):
    artifact = await records.artifact(b"bytes")
    request = RegisterDatasetRequest(request_id=request_id(), artifact=artifact)
    made = await stubs.registry.RegisterDataset(request)
    watch = stubs.registry.WatchDataset(WatchDatasetRequest(name=made.name))
    first = await watch.read()
    assert first.dataset == made
    attempt = (await Fence(backend.redis, "worker", 10.0).claim(made.name)).attempt
    # A claim shows nothing new, but is a change.
    assert (await watch.read()).dataset.state == INSPECTING
    await attempt.fail(made, Failure(reason=ERROR_REASON_LIMIT_EXCEEDED, message="60 s"))
    last = await watch.read()
    assert (last.dataset.state, last.dataset.failure.message) == (REJECTED, "60 s")
    assert await watch.read() is grpc.aio.EOF
    # Whoever lost the connection meanwhile hears of it too.
    resumed = stubs.registry.WatchDataset(WatchDatasetRequest(name=made.name, cursor=first.cursor))
    assert (await resumed.read()).dataset.state == REJECTED
    with refused() as problem:
        await stubs.registry.WatchVae(WatchVaeRequest(name="vaes/00000000000000000a")).read()
    assert problem.code == grpc.StatusCode.NOT_FOUND


async def test_names_of_outputs_and_tensors_are_kept_and_one_file_is_a_vae(stubs, records):
    artifact = await records.artifact(b"bytes")
    classifier = await stubs.registry.RegisterClassifier(
        RegisterClassifierRequest(request_id=request_id(), artifact=artifact, output_name="logits")
    )
    assert classifier.output_name == "logits"
    tensors = VaeTensors(mu="m", spread="s", spread_kind=VaeSpread.VAE_SPREAD_SIGMA, code="z")
    vae = await stubs.registry.RegisterVae(
        RegisterVaeRequest(request_id=request_id(), encoder_artifact=artifact, tensors=tensors)
    )
    assert (vae.tensors, vae.decoder_artifact) == (tensors, "")


@pytest.mark.parametrize(
    ("tensors", "wrong"),
    [({"spread_kind": 99}, "tensors.spread_kind"), ({"code": "x" * 501}, "tensors.code")],
)
async def test_vaes_that_are_declared_wrong(stubs, refused, tensors, wrong):
    with refused() as problem:
        await stubs.registry.RegisterVae(
            RegisterVaeRequest(
                request_id=request_id(), encoder_artifact=ABSENT, tensors=VaeTensors(**tensors)
            )
        )
    assert (problem.reason, problem.fields) == ("INVALID_FIELD", (wrong,))


async def test_the_same_request_makes_one_resource(stubs, records, refused):
    request = RegisterClassifierRequest(request_id=request_id(), artifact=await records.artifact(b"bytes"))
    first = await stubs.registry.RegisterClassifier(request)
    assert (await stubs.registry.RegisterClassifier(request)).name == first.name
    request.display_name = "another"
    with refused() as problem:
        await stubs.registry.RegisterClassifier(request)
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"request_id": ""}, "request_id"),
        ({"request_id": "12345"}, "request_id"),
        ({"request_id": str(uuid.uuid1())}, "request_id"),
        ({"display_name": "x" * 201}, "display_name"),
        ({"display_name": "a\x00b"}, "display_name"),
        ({"artifact": "artifacts/xyz"}, "artifact"),
        ({"artifact": ""}, "artifact"),
        ({"output_kind": 99}, "output_kind"),
        ({"output_name": "x" * 501}, "output_name"),
        ({"preprocessing": Preprocessing(layout=99)}, "preprocessing.layout"),
        ({"preprocessing": Preprocessing(scale=float("nan"))}, "preprocessing.scale"),
        ({"preprocessing": Preprocessing(scale=-1.0)}, "preprocessing.scale"),
        ({"preprocessing": Preprocessing(mean=[float("inf")])}, "preprocessing.mean"),
        ({"preprocessing": Preprocessing(std=[0.0])}, "preprocessing.std"),
        ({"preprocessing": Preprocessing(mean=[1, 2, 3], std=[1, 2])}, "preprocessing.std"),
    ],
)
async def test_classifiers_that_are_declared_wrong(stubs, refused, fields, wrong):
    values = {"request_id": request_id(), "artifact": ABSENT, **fields}
    with refused() as problem:
        await stubs.registry.RegisterClassifier(RegisterClassifierRequest(**values))
    assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD")
    assert problem.fields == (wrong,)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"layout": 3}, "layout"),
        ({"class_names": ["a", "a"]}, "class_names"),
        ({"class_names": ["a", ""]}, "class_names"),
    ],
)
async def test_datasets_that_are_declared_wrong(stubs, refused, fields, wrong):
    values = {"request_id": request_id(), "artifact": ABSENT, **fields}
    with refused() as problem:
        await stubs.registry.RegisterDataset(RegisterDatasetRequest(**values))
    assert (problem.reason, problem.fields) == ("INVALID_FIELD", (wrong,))


async def test_one_answer_names_all_faults(stubs, refused):
    with refused() as problem:
        await stubs.registry.RegisterVae(
            RegisterVaeRequest(display_name="x" * 201, decoder_artifact="artifacts/xyz")
        )
    assert set(problem.fields) == {"request_id", "display_name", "encoder_artifact", "decoder_artifact"}


async def test_bytes_that_were_never_uploaded(stubs, refused, records):
    there = await records.artifact(b"bytes")
    with refused() as problem:
        await stubs.registry.RegisterVae(
            RegisterVaeRequest(request_id=request_id(), encoder_artifact=there, decoder_artifact=ABSENT)
        )
    assert (problem.code, problem.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
    assert problem.figures == {"name": ABSENT}


async def test_unknown_resources(stubs, refused):
    registry, unknown = stubs.registry, "0" * 18
    calls = [
        (registry.GetClassifier, GetClassifierRequest(name=f"classifiers/{unknown}")),
        (registry.GetVae, GetVaeRequest(name=f"vaes/{unknown}")),
        (registry.GetDataset, GetDatasetRequest(name=f"datasets/{unknown}")),
        (registry.DeleteClassifier, DeleteClassifierRequest(name=f"classifiers/{unknown}")),
        (registry.DeleteVae, DeleteVaeRequest(name=f"vaes/{unknown}")),
        (registry.DeleteDataset, DeleteDatasetRequest(name=f"datasets/{unknown}")),
    ]
    for call, request in calls:
        with refused() as problem:
            await call(request)
        assert (problem.code, problem.reason) == (grpc.StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")


async def test_a_name_of_another_kind_is_no_name(stubs, refused, records):
    vae = await records.vae()
    with refused() as problem:
        await stubs.registry.GetClassifier(GetClassifierRequest(name=vae.name))
    assert (problem.reason, problem.fields) == ("INVALID_FIELD", ("name",))


async def test_lists_come_in_pages_newest_first(stubs, records):
    made = [(await records.classifier(display_name=str(number))).name for number in range(5)]
    listed, token = [], ""
    while True:
        page = await stubs.registry.ListClassifiers(
            ListClassifiersRequest(page_size=2, page_token=token, state=READY)
        )
        assert len(page.classifiers) <= 2
        listed += [classifier.name for classifier in page.classifiers]
        token = page.next_page_token
        if not token:
            break
    assert listed == made[::-1]
    waiting = await stubs.registry.ListClassifiers(ListClassifiersRequest(state=INSPECTING))
    assert not waiting.classifiers
    assert not (await stubs.registry.ListVaes(ListVaesRequest())).vaes


async def test_lists_refuse_what_they_did_not_hand_out(stubs, refused, records):
    for _ in range(2):
        await records.classifier()
    page = await stubs.registry.ListClassifiers(ListClassifiersRequest(page_size=1))
    for request in (
        ListClassifiersRequest(page_token="nonsense"),
        ListClassifiersRequest(page_token=page.next_page_token, state=READY),
    ):
        with refused() as problem:
            await stubs.registry.ListClassifiers(request)
        assert (problem.code, problem.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PAGE_TOKEN_INVALID")
    for fields in ({"page_size": -1}, {"page_size": 1001}, {"state": 9}):
        with refused() as problem:
            await stubs.registry.ListDatasets(ListDatasetsRequest(**fields))
        assert (problem.reason, problem.fields) == ("INVALID_FIELD", tuple(fields))


async def test_what_is_in_use_stays(stubs, refused, records):
    audit = await records.audit()
    for call, request in (
        (stubs.registry.DeleteClassifier, DeleteClassifierRequest(name=audit.classifier)),
        (stubs.registry.DeleteVae, DeleteVaeRequest(name=audit.vae)),
        (stubs.registry.DeleteDataset, DeleteDatasetRequest(name=audit.dataset)),
    ):
        with refused() as problem:
            await call(request)
        assert (problem.code, problem.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "RESOURCE_IN_USE")
        assert "PreconditionFailure" in problem.details
    free = await records.vae()
    await stubs.registry.DeleteVae(DeleteVaeRequest(name=free.name))
    with refused() as problem:
        await stubs.registry.GetVae(GetVaeRequest(name=free.name))
    assert problem.code is grpc.StatusCode.NOT_FOUND


async def test_a_classifier_may_name_a_dataset_that_is_ready_and_then_stays(stubs, refused, records):
    artifact = await records.artifact(b"bytes")

    def named(dataset):
        return RegisterClassifierRequest(request_id=request_id(), artifact=artifact, dataset=dataset)

    ready = await records.dataset()
    classifier = await stubs.registry.RegisterClassifier(named(ready.name))
    assert classifier.dataset == ready.name
    with refused() as problem:
        await stubs.registry.DeleteDataset(DeleteDatasetRequest(name=ready.name))
    assert problem.reason == "RESOURCE_IN_USE"
    await stubs.registry.DeleteClassifier(DeleteClassifierRequest(name=classifier.name))
    await stubs.registry.DeleteDataset(DeleteDatasetRequest(name=ready.name))
    with refused() as problem:
        await stubs.registry.RegisterClassifier(named(ready.name))
    assert problem.code is grpc.StatusCode.NOT_FOUND
    waiting = await stubs.registry.RegisterDataset(
        RegisterDatasetRequest(request_id=request_id(), artifact=artifact)
    )
    with refused() as problem:
        await stubs.registry.RegisterClassifier(named(waiting.name))
    assert problem.reason == "WRONG_STATE"
    with refused() as problem:
        await stubs.registry.RegisterClassifier(named("vaes/1"))
    assert (problem.reason, problem.fields) == ("INVALID_FIELD", ("dataset",))
