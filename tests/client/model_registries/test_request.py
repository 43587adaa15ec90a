"""What a gate's request takes from options, and what from the model's tags."""

import pytest
from defuse.messages import Classifier, Layout, OutputKind, Preprocessing
from defuse.model_registries.declaration import Declaration
from defuse.model_registries.errors import RegistryError
from defuse.model_registries.request import GateRequest

TAGS = {
    "defuse.alias": "champion",
    "defuse.dataset": "datasets/d",
    "defuse.vae": "vaes/v",
    "defuse.policy": "checks: {}",
    "defuse.layout": "nhwc",
    "defuse.scale": "255",
    "defuse.mean": "0.1, 0.2,0.3",
}


def test_tags_stand_for_options_that_are_left_out() -> None:
    request = GateRequest("m", "7").completed(TAGS)
    assert (request.alias, request.audit, request.dataset, request.vae) == (
        "champion",
        "",
        "datasets/d",
        "vaes/v",
    )
    assert request.policy == "checks: {}"
    assert request.declared == Declaration(layout="nhwc", scale=255.0, mean=(0.1, 0.2, 0.3))


def test_options_go_before_tags() -> None:
    declared = Declaration(layout="flat")
    request = GateRequest("m", "7", "next", dataset="datasets/e", policy="", declared=declared).completed(
        TAGS
    )
    assert (request.alias, request.dataset, request.vae) == ("next", "datasets/e", "vaes/v")
    assert (request.policy, request.declared) == ("", declared)


def test_an_audit_goes_before_dataset_and_vae() -> None:
    for request in (
        GateRequest("m", "7", audit="audits/a").completed(TAGS),
        GateRequest("m", "7").completed({**TAGS, "defuse.audit": "audits/a"}),
    ):
        assert (request.audit, request.dataset, request.vae) == ("audits/a", "", "")
    request = GateRequest("m", "7", vae="vaes/w").completed({**TAGS, "defuse.audit": "audits/a"})
    assert (request.audit, request.dataset, request.vae) == ("", "datasets/d", "vaes/w")


@pytest.mark.parametrize(
    ("request_", "tags", "said"),
    [
        (GateRequest("m", "7", audit="audits/a"), {}, "the model's tag defuse.alias"),
        (
            GateRequest("m", "7", "champion", dataset="datasets/d"),
            {},
            "--dataset and --vae, or set the model's tags",
        ),
        (GateRequest("m", "7", "champion"), {"defuse.vae": "vaes/v"}, "both a dataset and a VAE"),
        (GateRequest("m", "7", "champion", "audits/a", "datasets/d"), {}, "got both"),
        (
            GateRequest("m", "7"),
            {**TAGS, "defuse.scale": "1,2"},
            "expected one number in the tag defuse.scale",
        ),
        (GateRequest("m", "7"), {**TAGS, "defuse.std": "x"}, r"in the tag defuse\.std, got 'x'"),
    ],
)
def test_what_is_missing_or_wrong_is_named(request_: GateRequest, tags: dict[str, str], said: str) -> None:
    with pytest.raises(RegistryError, match=said):
        request_.completed(tags)


def test_defaults_are_the_same_however_they_are_written() -> None:
    bare = Classifier()
    full = Classifier(
        preprocessing=Preprocessing(layout=Layout.LAYOUT_NCHW, scale=1.0, mean=[0.0], std=[1.0]),
        output_kind=OutputKind.OUTPUT_KIND_LOGITS,
    )
    for declared in (Declaration(), Declaration("nchw", 1.0, (0.0,), (1.0,), "logits"), Declaration.of(full)):
        assert declared.fits(bare)
        assert declared.fits(full)
    for other in (Declaration("flat"), Declaration(scale=255), Declaration(output_kind="probabilities")):
        assert not other.fits(full)


def test_a_layout_that_is_none_is_refused() -> None:
    with pytest.raises(RegistryError, match="nchw, nhwc, flat; got 'hwc'"):
        Declaration("hwc").fits(Classifier())
