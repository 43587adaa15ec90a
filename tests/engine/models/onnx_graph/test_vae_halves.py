"""A VAE's tensors are found by their names, shapes and values, and one file is cut into its halves."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
import torch

from defuse_engine.errors import InvalidModel, Reason
from defuse_engine.models.device import Runtime
from defuse_engine.models.onnx_graph.vae_halves import cut
from defuse_engine.models.onnx_model import Decoder, Encoder
from defuse_engine.types import Preprocessing, VaeTensors
from tests.models import handmade_vaes as vaes
from tests.models.exported_models import IMAGE, Vae, export

IMAGES = np.random.default_rng(0).random((9, *vaes.ITEM), np.float32)


def encoder(model: bytes, **tensors: str) -> Encoder:
    return Encoder(model, Preprocessing(), Runtime(batch_size=4), VaeTensors(**tensors))


def raw(model: bytes, name: str) -> np.ndarray:
    opened = encoder(model)
    spec = next(output for output in opened.signature.outputs if output.name == name)
    return opened.session.run(torch.from_numpy(IMAGES), spec).numpy()


def test_logvar_becomes_a_standard_deviation():
    model = vaes.encoder("logvar")
    mu, sigma = encoder(model).posterior(IMAGES)
    assert np.array_equal(mu, encoder(model)(IMAGES))
    assert sigma == pytest.approx(np.exp(raw(model, "logvar") / 2), rel=1e-5)


def test_sigma_is_taken_as_it_is():
    model = vaes.encoder("sigma")
    _, sigma = encoder(model).posterior(IMAGES)
    assert sigma == pytest.approx(raw(model, "sigma"))


def test_mu_alone_has_no_spread():
    mu, sigma = encoder(vaes.encoder("")).posterior(IMAGES)
    assert mu.shape == (9, vaes.D)
    assert sigma is None


@pytest.mark.parametrize(("spread", "kind"), [("logvar", "logvar"), ("sigma", "sigma")])
def test_values_tell_the_spread_where_names_do_not(spread, kind):
    opened = encoder(vaes.encoder(spread, ("45", "47")))
    assert (opened.mu.name, opened.spread_kind) == ("45", "auto")
    opened.posterior(IMAGES)
    assert opened.spread_kind == kind


@pytest.mark.parametrize(
    "names", [("z_mean", "z_log_var"), ("enc/zMean:0", "enc/logVar:0"), ("mu", "LOGVAR")]
)
def test_usual_names_are_known_in_their_spellings(names):
    opened = encoder(vaes.encoder("logvar", names))
    assert (opened.mu.name, opened.spread.name, opened.spread_kind) == (*names, "logvar")


def test_the_caller_may_name_the_tensors():
    opened = encoder(vaes.encoder("sigma", ("47", "45")), mu="47", spread="45", spread_kind="sigma")
    assert (opened.mu.name, opened.spread.name, opened.spread_kind) == ("47", "45", "sigma")
    assert encoder(vaes.encoder(), spread_kind="none").posterior(IMAGES)[1] is None


def test_a_tensor_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InvalidModel, match=r"'nowhere'.*mu"):
        encoder(vaes.encoder(), mu="nowhere")


def test_a_spread_of_another_shape_than_mu_is_refused():
    model = onnx.load_from_string(vaes.encoder())
    model.graph.output.append(onnx.helper.make_tensor_value_info("flat", onnx.TensorProto.FLOAT, ["n", 16]))
    with pytest.raises(InvalidModel, match="must have mu's shape"):
        encoder(model.SerializeToString(), spread="flat")


def test_a_sigma_with_negative_values_is_refused():
    with pytest.raises(InvalidModel, match="negative values"):
        encoder(vaes.encoder(), spread_kind="sigma").posterior(IMAGES)


@pytest.mark.parametrize(("noise", "code"), [("normal", "drawn"), ("", "mu")])
@pytest.mark.parametrize("spread", ["logvar", "sigma"])
def test_one_file_is_cut_where_the_code_is_whole(noise, code, spread):
    halves = cut(vaes.both(noise, spread), VaeTensors())
    found = halves.tensors
    assert (found.mu, found.spread, found.code, found.image) == ("mu", spread, code, "reconstruction")
    opened = encoder(halves.encoder)
    decoder = Decoder(halves.decoder, Preprocessing(), vaes.ITEM, Runtime(), found.image)
    images = decoder(opened(IMAGES))
    assert np.array_equal(images, decoder(opened(IMAGES))), "no noise is drawn"
    if not noise:
        whole = encoder(vaes.both(noise, spread), mu="mu")
        assert images == pytest.approx(
            whole.session.run(torch.from_numpy(IMAGES), whole.signature.outputs[0]).numpy(), abs=1e-6
        )


def test_the_caller_may_say_where_the_decoding_half_starts():
    assert cut(vaes.both(), VaeTensors(code="hidden")).tensors.code == "hidden"


@pytest.mark.parametrize("code", ["mu", "flat", "nowhere"])
def test_a_code_that_does_not_decide_the_image_is_refused(code):
    with pytest.raises(InvalidModel, match="no code to start the decoding half from") as caught:
        cut(vaes.both(), VaeTensors(code=code))
    assert caught.value.reason is Reason.MODEL_SIGNATURE


def test_an_encoder_alone_is_no_file_with_both_halves():
    with pytest.raises(InvalidModel, match="no code"):
        cut(vaes.encoder(), VaeTensors())


def test_a_decoder_alone_is_no_file_with_both_halves():
    with pytest.raises(InvalidModel, match="mu"):
        cut(vaes.decoder(), VaeTensors())


def test_the_inspection_reports_the_tensors_that_it_chose(make_job, do_job, graphs):
    result = do_job(make_job("inspect_vae"))
    assert result["tensors"] == {
        "mu": "mu",
        "spread": "logvar",
        "spread_kind": "logvar",
        "code": "z",
        "image": "image",
    }


def test_one_file_goes_through_a_job(tmp_path, do_job):
    (tmp_path / "inputs").mkdir()
    (tmp_path / "inputs" / "vae.onnx").write_bytes(vaes.both())
    entry = {"encoder": "inputs/vae.onnx", "tensors": {"spread_kind": "logvar"}}
    job = {"kind": "inspect_vae", "device": "cpu", "threads": 1, "inputs": {"vae": entry}}
    (tmp_path / "job.json").write_text(json.dumps(job))
    result = do_job(tmp_path)
    assert (result["latent_size"], result["image_shape"]) == (vaes.D, list(vaes.ITEM))
    assert result["tensors"]["code"] == "drawn"


@pytest.mark.parametrize("batch", [None, 1])
def test_the_decoding_half_takes_its_batch_size_from_the_codes(batch):
    halves = cut(export(Vae(), names=("reconstruction", "mu", "logvar"), batch=batch), VaeTensors())
    images = np.random.default_rng(0).random((5, *IMAGE), np.float32)
    codes = encoder(halves.encoder)(images)
    decoder = Decoder(halves.decoder, Preprocessing(), IMAGE, Runtime(), halves.tensors.image)
    assert decoder(codes).shape == images.shape
    assert decoder.session.batch_size == Runtime().batch_size
    assert decoder(codes)[3:] == pytest.approx(decoder(codes[3:]), abs=1e-6)
