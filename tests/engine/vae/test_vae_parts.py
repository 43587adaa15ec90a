"""The parts of a VAE's training: networks of any shape, a loss without scale, a choice by one rule."""

import numpy as np
import pytest
import torch
from torch import nn

from defuse_engine.configs import VaeTrainingConfig
from defuse_engine.errors import JobInvalid, VaeTrainingFailed
from defuse_engine.inputs.dataset import Split
from defuse_engine.models.device import Runtime
from defuse_engine.models.onnx_model import Decoder, Encoder
from defuse_engine.models.torch_form.differentiable import input_differentiable
from defuse_engine.types import Preprocessing
from defuse_engine.vae import choose_setting, loss
from defuse_engine.vae.budget import Budget
from defuse_engine.vae.choose_setting import Measured
from defuse_engine.vae.export import export_vae
from defuse_engine.vae.loss import Setting, measure_scales
from defuse_engine.vae.networks import Vae, Values
from defuse_engine.vae.training import Balanced, Material, Training

VALUES = Values(0.0, 1.0, 0.4, 0.3)
SETTING = Setting(4, 1e-3)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((1, 8, 8), 6),
        ((3, 32, 32), 6),
        ((3, 32, 32), 256),
        ((1, 28, 28), 196),
        ((2, 17, 9), 6),
        ((1, 5, 40), 6),
        ((3, 128, 128), 6),
        ((3, 100, 64), 256),
    ],
)
def test_both_halves_are_files_for_any_batch_and_the_decoder_has_a_gradient(tmp_path, shape, size):
    vae = Vae(shape, VALUES, size)
    export_vae(vae, tmp_path / "encoder.onnx", tmp_path / "decoder.onnx")
    runtime = Runtime()
    encode = Encoder((tmp_path / "encoder.onnx").read_bytes(), Preprocessing(), runtime)
    decoder_bytes = (tmp_path / "decoder.onnx").read_bytes()
    decode = Decoder(decoder_bytes, Preprocessing(), shape, runtime)
    for count in (1, 3):
        images = np.random.default_rng(count).random((count, *shape), np.float32)
        codes = encode(images)
        decoded = decode(codes)
        assert codes.shape == (count, size)
        assert decoded.shape == (count, *shape)
        with torch.no_grad():
            mu, _ = vae.encoder(torch.from_numpy(images))
            np.testing.assert_allclose(codes, mu.numpy(), atol=1e-4)
            np.testing.assert_allclose(decoded, vae.decoder(mu).numpy(), atol=1e-4)
    code = torch.zeros(2, size, requires_grad=True)
    input_differentiable(decoder_bytes)(code).square().sum().backward()
    assert code.grad is not None
    assert bool((code.grad != 0).any())


@pytest.mark.parametrize("scale", [1e-4, 1.0, 1e4])
def test_the_scale_of_the_classifier_does_not_matter(scale):
    generator = torch.Generator().manual_seed(0)
    activations = [
        torch.randn(50, 7, generator=generator),
        torch.randn(50, 3, generator=generator).log_softmax(1),
    ]
    others = [torch.randn(50, 7, generator=generator), activations[-1]]
    scales = measure_scales(
        torch.rand(50, 1, 8, 8, generator=generator), [activations[0] * scale, activations[1]]
    )
    grown = loss.feature_distance(
        [activations[0] * scale, activations[1]], [others[0] * scale, others[1]], scales
    )
    reference = measure_scales(torch.rand(50, 1, 8, 8, generator=generator), activations)
    assert float(grown) == pytest.approx(
        float(loss.feature_distance(activations, others, reference)), rel=1e-3
    )


def test_a_pale_image_weighs_as_much_as_a_bold_one():
    bold = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    pale = 0.5 + (bold - 0.5) * 0.5
    scales = measure_scales(torch.cat([bold, pale]), [torch.zeros(16, 2).log_softmax(1)])
    flat = [images.mean((1, 2, 3), keepdim=True).expand_as(images) for images in (bold, pale)]
    of_bold, of_pale = (
        float(loss.pixel_distance(images, blank, scales))
        for images, blank in zip((bold, pale), flat, strict=True)
    )
    assert of_pale == pytest.approx(of_bold, rel=0.2)


def test_a_blurred_image_is_far_from_its_edges_and_near_to_its_pixels():
    generator = torch.Generator().manual_seed(0)
    smooth = torch.rand(8, 1, 3, 3, generator=generator)
    images = nn.functional.interpolate(smooth, 32) + 0.1 * torch.rand(8, 1, 32, 32, generator=generator)
    blurred = nn.functional.avg_pool2d(nn.functional.pad(images, (2, 2, 2, 2), mode="replicate"), 5, 1)
    scales = measure_scales(images, [torch.zeros(8, 2).log_softmax(1)])
    assert float(loss.edge_distance(images, images)) == 0.0
    assert float(loss.edge_distance(images, blurred)) > 2 * float(
        loss.pixel_distance(images, blurred, scales)
    )


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 1, 5), (1, 8, 8)])
def test_images_without_edges_have_a_finite_distance(shape):
    images = torch.full((4, *shape), 0.5)
    assert np.isfinite(float(loss.edge_distance(images, torch.rand(4, *shape))))


def measured(setting, right, readability=None):
    right = np.asarray(right, bool)
    return Measured(setting, right, float(right.mean()) if readability is None else readability, 0.0, 1.0, 1)


def test_among_equals_the_smallest_latent_space_wins():
    right = np.arange(1000) % 3 != 0
    nearly = right.copy()
    nearly[1] = False
    tried = [measured(Setting(32, 1e-3), right), measured(Setting(16, 1e-3), nearly)]
    assert choose_setting.choose(tried) == Setting(16, 1e-3)


def test_a_latent_space_that_is_readable_enough_need_not_be_as_good_as_the_best():
    best = np.ones(1000, bool)
    readable, dim = np.arange(1000) >= 40, np.arange(1000) >= 60
    tried = [
        measured(Setting(256, 5e-5), best),
        measured(Setting(32, 1e-3), readable),
        measured(Setting(16, 1e-3), dim),
    ]
    assert choose_setting.choose(tried) == Setting(32, 1e-3)


def test_who_reads_clearly_more_wins_whatever_its_size():
    right = np.arange(1000) % 10 != 0
    tried = [
        measured(Setting(64, 1e-3), right),
        measured(Setting(8, 1e-3), right & (np.arange(1000) % 3 != 0)),
    ]
    assert choose_setting.choose(tried).latent_size == 64


def test_the_better_half_goes_on():
    settings = [Setting(size, 1e-3) for size in (8, 16, 32, 64)]
    calls = []

    def train(setting, number):
        calls.append((number, setting.latent_size))
        return measured(setting, np.arange(100) < setting.latent_size)

    chosen, tried = choose_setting.halve(settings, 2, train)
    assert calls == [(0, 8), (0, 16), (0, 32), (0, 64), (1, 64), (1, 32)]
    assert chosen.latent_size == 64
    assert len(tried) == 4


@pytest.mark.parametrize(
    ("shape", "sizes"),
    [
        ((1, 8, 8), [16, 8]),
        ((1, 28, 28), [32, 196, 64, 16]),
        ((3, 32, 32), [64, 256, 128, 32]),
        ((3, 224, 224), [64, 196, 128, 32]),
    ],
)
def test_latent_sizes_follow_the_number_of_values(shape, sizes):
    assert [setting.latent_size for setting in choose_setting.settings((), shape)] == sizes


def test_sizes_that_the_user_gives_are_tried_in_that_order():
    assert [one.latent_size for one in choose_setting.settings((20, 5, 20), (1, 28, 28))] == [20, 5]


def test_a_change_of_one_cell_of_a_grid_changes_its_place_alone():
    vae = Vae((3, 32, 32), VALUES, 256)
    codes = torch.zeros(2, 256)
    codes[1].view(4, 8, 8)[:, 0, 0] = 3.0
    with torch.no_grad():
        one, other = vae.decoder(codes)
    changed = (one - other).abs().sum(0)
    assert float(changed[:4, :4].mean()) > 10 * float(changed[16:, 16:].mean())


def test_rare_classes_are_drawn_more_often_than_they_occur():
    labels = np.repeat([0, 1], [900, 100])
    split = Split(np.zeros((1000, 1, 2, 2), np.float32), labels)
    drawn = labels[Balanced(split, np.random.default_rng(0)).draw(4000)]
    assert 0.2 < drawn.mean() < 0.3


def test_a_budget_of_steps_does_not_look_at_the_clock_until_its_time_is_over():
    now_s = 0.0
    budget = Budget(100.0, 10, lambda: now_s)
    now_s = 90.0
    assert budget.spent == 0.0
    budget.steps = 5
    assert budget.spent == 0.5
    now_s = 100.0
    assert budget.spent == 1.0


def test_the_pace_of_the_steps_tells_how_many_there_will_be():
    now_s = 0.0
    budget = Budget(100.0, 0, lambda: now_s)
    # The first step comes late, the others one a second.
    for now_s in (51.0, 52.0, 53.0, 54.0):  # noqa: B007
        budget.count()
    assert budget.estimated_steps == 4 + 46


class Broken(nn.Module):
    """Features that are not finite in some of the calls."""

    def __init__(self, broken):
        super().__init__()
        self.broken, self.calls = broken, 0

    def forward(self, images):
        self.calls += 1
        factor = float("nan") if self.calls in self.broken else 1.0
        return [images.flatten(1) * factor, images.mean((2, 3)).repeat(1, 2).log_softmax(1)]


def training(broken):
    images = np.random.default_rng(0).random((50, 1, 8, 8), np.float32)
    split = Split(images, np.arange(50) % 2)
    features = Broken(broken)
    scales = measure_scales(torch.from_numpy(images), Broken(())(torch.from_numpy(images)))
    return Training(SETTING, Material(split, (1, 8, 8), VALUES, features, scales, Runtime(), 0))


def test_a_loss_that_is_not_finite_costs_a_few_steps_only():
    running = training(broken={5, 9})
    for _ in range(20):
        running.step(1.0)
    assert running.steps == 18
    assert np.isfinite(running.reconstruct(np.ones((2, 1, 8, 8), np.float32))).all()


def test_a_loss_that_is_never_finite_ends_the_training_with_its_reason():
    running = training(broken=set(range(100)))
    for _ in range(3):
        running.step(1.0)
    with pytest.raises(VaeTrainingFailed, match="not finite 4 times"):
        running.step(1.0)


@pytest.mark.parametrize(
    "config",
    [{"latent_sizes": [0]}, {"latent_sizes": ["8"]}, {"budget_s": 1}, {"max_steps": -1}, {"epochs": 3}],
)
def test_a_config_out_of_range_is_refused(config):
    with pytest.raises(JobInvalid):
        VaeTrainingConfig.from_json(config)
