"""The training of one setting: gradient descent that can be stopped and continued at any time."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from defuse_engine.errors import Reason, VaeTrainingFailed
from defuse_engine.inputs.dataset import Split
from defuse_engine.models.device import Runtime
from defuse_engine.models.preprocessing import ImageShape
from defuse_engine.random_streams import numpy_generator, stream_random_seed, torch_generator
from defuse_engine.types import Images
from defuse_engine.vae import loss
from defuse_engine.vae.loss import Scales, Setting
from defuse_engine.vae.networks import Vae, Values

BATCH_SIZE = 64
_LEARNING_RATE = 2e-3
_WARM_UP_STEPS = 50
_DIVERGENCE_WARM_UP_STEPS = 300
_GRADIENT_NORM = 1.0
_AVERAGE_DECAY = 0.998
_KEPT_EVERY_STEPS = 50
_RETRIES = 3
_SLOWER = 0.3
_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Material:
    """The data and the scales that every setting trains with."""

    train: Split
    image_shape: ImageShape
    values: Values
    features: nn.Module
    """Images to activations, the last of them log-probabilities."""
    scales: Scales
    runtime: Runtime
    random_seed: int


class Balanced:
    """Draws train items; a class counts by the square root of its size, because rare ones must be learned."""

    def __init__(self, split: Split, generator: np.random.Generator):
        counts = np.bincount(split.labels)
        weights = 1.0 / np.sqrt(counts[split.labels])
        self._cumulative = np.cumsum(weights / weights.sum())
        self._generator = generator

    def draw(self, count: int) -> np.ndarray:
        """Return indices (count,)."""
        places = np.searchsorted(self._cumulative, self._generator.random(count))
        return np.minimum(places, len(self._cumulative) - 1)


class Training:
    """A VAE of one setting, its running average, and its place in the schedule."""

    def __init__(self, setting: Setting, material: Material):
        self.setting = setting
        self.material = material
        self.steps = 0
        device = material.runtime.device
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(stream_random_seed(material.random_seed, "vae-weights", setting.latent_size))
            self.vae = Vae(material.image_shape, material.values, setting.latent_size).to(device)
        # Channels last: a step on a CPU takes three quarters of the time.
        self.vae.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.average = copy.deepcopy(self.vae).requires_grad_(False)
        self._optimizer = torch.optim.Adam(self.vae.parameters(), betas=(0.9, 0.99), fused=True)
        self._noise = torch_generator(material.random_seed, "vae-noise")
        self._items = Balanced(material.train, numpy_generator(material.random_seed, "vae-items"))
        self._speed = 1.0
        self._failures = 0
        self._parts = (self.vae, self.average, self._optimizer)
        self._kept = self._state()
        """Of each part, to go back to."""

    def step(self, share_of_rate: float) -> None:
        """Make one step at a share of the learning rate.

        If the loss or the gradient is not finite, it goes back to the last good state and goes on more
        slowly. The fourth time it raises VAE_TRAINING_DIVERGED.
        """
        if not self._stepped(share_of_rate):
            self._go_back()
            return
        self.steps += 1
        self._follow()
        if self.steps % _KEPT_EVERY_STEPS == 0:
            self._kept = self._state()

    def reconstruct(self, images: Images) -> Images:
        """Decode the means of the codes of images (n, C, H, W), with the averaged weights."""
        return self._in_batches(images, lambda batch: self.average.decoder(self.average.encoder(batch)[0]))

    def divergence(self, images: Images) -> float:
        """Return the mean divergence from the prior, in nats."""
        parts = self._in_batches(images, lambda batch: loss.kl_divergences(*self.average.encoder(batch)))
        return float(parts.mean(dtype=np.float64))

    def _in_batches(self, images: Images, run: Callable[[Tensor], Tensor]) -> np.ndarray:
        device = self.material.runtime.device
        with torch.no_grad():
            parts = torch.from_numpy(images).split(_EVALUATION_BATCH)
            return torch.cat([run(part.to(device)).cpu() for part in parts]).numpy()

    def _stepped(self, share_of_rate: float) -> bool:
        material = self.material
        rows = self._items.draw(min(BATCH_SIZE, len(material.train)))
        images = torch.from_numpy(material.train.images(rows)).to(material.runtime.device)
        self._optimizer.zero_grad(set_to_none=True)
        value = self._loss(images)
        if not math.isfinite(float(value.detach())):
            return False
        value.backward()
        norm = nn.utils.clip_grad_norm_(self.vae.parameters(), _GRADIENT_NORM)
        if not math.isfinite(float(norm)):
            return False
        warm = min(1.0, (self.steps + 1) / _WARM_UP_STEPS)
        for group in self._optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * self._speed * share_of_rate * warm
        self._optimizer.step()
        return True

    def _loss(self, images: Tensor) -> Tensor:
        material = self.material
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=material.runtime.is_cuda):
            mu, logvar = (values.float() for values in self.vae.encoder(images))
            noise = torch.randn(mu.shape, generator=self._noise).to(mu.device)
            decoded = self.vae.decoder.image(self.vae.decoder.trunk(mu + noise * (0.5 * logvar).exp()))
        decoded = self.vae.decoder.bounded(decoded.float())
        with torch.no_grad():
            wanted = material.features(images)
        pixels = loss.pixel_distance(images, decoded, material.scales)
        edges = loss.edge_distance(images, decoded)
        features = loss.feature_distance(wanted, material.features(decoded), material.scales)
        reconstruction = (pixels + edges + loss.FEATURE_WEIGHT * features) / (2 + loss.FEATURE_WEIGHT)
        warm = min(1.0, self.steps / _DIVERGENCE_WARM_UP_STEPS)
        return reconstruction + warm * self.setting.kl_weight * loss.kl_divergences(mu, logvar).mean()

    def _follow(self) -> None:
        decay = min(_AVERAGE_DECAY, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            for average, weight in zip(self.average.parameters(), self.vae.parameters(), strict=True):
                average.lerp_(weight, 1 - decay)

    def _go_back(self) -> None:
        self._failures += 1
        if self._failures > _RETRIES:
            raise VaeTrainingFailed(
                Reason.VAE_TRAINING_DIVERGED,
                f"the loss was not finite {self._failures} times, each time at a lower learning rate "
                f"(latent size {self.setting.latent_size}, step {self.steps}). Look for extreme values in "
                "the images, and for a classifier whose gradient is not finite on them",
                {"step": self.steps, "latent_size": self.setting.latent_size},
            )
        self._speed *= _SLOWER
        for part, state in zip(self._parts, self._kept, strict=True):
            part.load_state_dict(copy.deepcopy(state))

    def _state(self) -> list[dict[str, Any]]:
        return [copy.deepcopy(part.state_dict()) for part in self._parts]
