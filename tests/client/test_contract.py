"""The client speaks the whole contract, with the messages that it asks for; checked without a server."""

import defuse
import pytest
from defuse._calls.steps import Blocking, OpenStream, SendStream, UnaryCall, method_of
from defuse.messages import Classifier, Dataset, JobState, LabelTask, RegistrationState, Vae

from tests.client.fake_server import SERVICES

TASK = LabelTask(region="audits/a/regions/0", lease_token="t")
JOBS = ("audits/a", "corrections/c", "evaluations/e", "vaeTrainings/t")


def operations(path):
    """Yield a flow of each operation of the client."""
    c = defuse.Client
    yield c.service_status()
    yield from (c.upload(path), c.download("artifacts/0", path), c.get_artifact("artifacts/0"))
    yield from (c.push_classifier(path), c.push_vae(path, path), c.push_dataset(path))
    for kind in ("classifier", "vae", "dataset"):
        yield getattr(c, f"get_{kind}")("x/1")
        yield getattr(c, f"list_{kind}s")()
        yield getattr(c, f"delete_{kind}")("x/1")
    yield from (c.start_audit("c", "v", "d", seed=1), c.get_audit("a"), c.list_audits(), c.delete_audit("a"))
    yield from (c.misclassifications("a"), c.misclassification_batches("a"), c.regions("a"))
    yield from (c.get_region("r"), c.get_region_split("audits/a"), c.list_regions("a"))
    yield from (c.bugs("a"), c.get_bug("b"), c.list_bugs("a"))
    yield from (c.train_vae("c", "d", wait=False, latent_sizes=[8]), c.get_vae_training("t"))
    yield from (c.list_vae_trainings(), c.delete_vae_training("t"))
    for name in JOBS:
        yield from (c.watch(name), c.cancel(name))
    yield from (c.lease_tasks("a", "me"), c.extend_lease(TASK), c.release_task(TASK), c.undo_label("r", "me"))
    yield from (c.submit_label(TASK, 3), c.submit_label(TASK, "mixed"), c.list_tasks("a"))
    yield from (c.get_labeling_progress("a"), c.get_labeling_report("a"), c.skip_task(TASK, "blurred"))
    yield from (c.export_label_tasks("a", path, format="csv"), c.import_labels("a", path, format="csv"))
    yield from (c.correct("a", wait=False, lambdas=[1]), c.get_correction("c"), c.list_corrections())
    yield from (c.evaluate("b", "c", "a", wait=False), c.get_evaluation("e"), c.list_evaluations())
    yield from (c.delete_correction("c"), c.delete_evaluation("e"))


def steps(flow):
    """Yield the steps of a flow whose calls answer with an empty message, and whose streams end at once."""
    outcome = None
    try:
        while True:
            step = flow.send(outcome)
            yield step
            match step:
                case Blocking():
                    outcome = step.run()
                case UnaryCall():
                    outcome = step.response()
                    if isinstance(outcome, Classifier | Vae | Dataset):
                        outcome.state = RegistrationState.REGISTRATION_STATE_INSPECTING
                case OpenStream():
                    outcome = type("Ended", (), {"cancel": lambda self: True})()
                case _:
                    outcome = None
    except (StopIteration, defuse.DataLoss, defuse.Internal):
        return


@pytest.fixture
def calls(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"bytes")
    kinds = (UnaryCall, OpenStream, SendStream)
    return [step for flow in operations(path) for step in steps(flow) if isinstance(step, kinds)]


def test_every_call_of_the_contract_is_made_with_its_own_messages(calls):
    # These two need a server that lacks the bytes: test_transfer.py has one.
    reached = {"ArtifactService/Upload", "ArtifactService/GetUpload"}
    for call in calls:
        service, method = method_of(call.request).split("/")
        described = SERVICES[service].methods_by_name[method]
        request = next(call.requests) if isinstance(call, SendStream) else call.request
        assert request.DESCRIPTOR is described.input_type, method
        assert call.response.DESCRIPTOR is described.output_type, method
        assert isinstance(call, OpenStream) == described.server_streaming, method
        assert isinstance(call, SendStream) == described.client_streaming, method
        reached.add(f"{service}/{method}")
    assert reached == {
        f"{name}/{method}" for name, service in SERVICES.items() for method in service.methods_by_name
    }


def test_both_clients_have_the_same_methods():
    def public(client):
        return {name for name in dir(client) if not name.startswith("_")} - {
            "run_flow",
            "run_flow_async",
            "iterate_flow",
            "iterate_flow_async",
        }

    assert public(defuse.Client) == public(defuse.AsyncClient)


def test_final_states_are_those_of_the_contract():
    from defuse._operations.jobs import FINAL_STATES

    names = {JobState.Name(state) for state in FINAL_STATES}
    assert names == {"JOB_STATE_SUCCEEDED", "JOB_STATE_FAILED", "JOB_STATE_CANCELLED"}


def test_all_resources_and_enums_are_in_messages():
    import defuse.v1.models_pb2 as models

    assert set(models.DESCRIPTOR.message_types_by_name) <= set(vars(defuse.messages))
