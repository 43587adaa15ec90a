"""Trains the demo's models: a small classifier, a VAE of the digits, and the annotator's stand-in.

Nothing is arranged to fail. The classifier is an ordinary small network, trained to the end on the
train split's thousand digits. All choices were made on train and validation.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812  (PyTorch's own name for it)
from torch import Tensor, nn

from examples.digits import stand_in
from examples.digits.data import IMAGE_SIDE, Digits, Split, load, seeded

LATENT_SIZE = 10
KL_WEIGHT = 0.1
"""Below 1: the reconstructions of such a small dataset then stay sharp enough to read."""
CLASSIFIER_EPOCHS = 40
VAE_EPOCHS = 80
BATCH_SIZE = 64


@dataclass(frozen=True)
class Trained:
    """The files in `folder`, and the models' figures on the validation split (0..1)."""

    folder: Path
    train_accuracy: float
    validation_accuracy: float
    readability: float
    """Validation accuracy on the VAE's reconstructions over validation accuracy on the originals."""
    stand_in_validation_accuracy: float
    """Accuracy of a network trained without the validation split; the stand-in in use trained on both."""

    @property
    def classifier(self) -> Path:
        """The classifier: image (n, 1, 8, 8) in 0..1 to ten logits."""
        return self.folder / "classifier.onnx"

    @property
    def encoder(self) -> Path:
        """The encoder: image to mu and logvar (n, 10)."""
        return self.folder / "encoder.onnx"

    @property
    def decoder(self) -> Path:
        """The decoder: code (n, 10) to image."""
        return self.folder / "decoder.onnx"

    @property
    def dataset(self) -> Path:
        """The three splits."""
        return self.folder / "dataset.npz"

    @property
    def stand_in(self) -> Path:
        """The annotator's stand-in: image to probabilities."""
        return self.folder / "stand_in.onnx"


class Encoder(nn.Module):
    """Image (n, 1, 8, 8) to mu and logvar of its latent code, each (n, LATENT_SIZE)."""

    def __init__(self, hidden: int = 256) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(IMAGE_SIDE * IMAGE_SIDE, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
        )
        self.mu = nn.Linear(hidden, LATENT_SIZE)
        self.logvar = nn.Linear(hidden, LATENT_SIZE)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return mu and the logarithm of the variance."""
        features = self.layers(image)
        return self.mu(features), self.logvar(features)


def new_decoder(hidden: int = 256) -> nn.Sequential:
    """Make the decoder: code (n, LATENT_SIZE) to image (n, 1, 8, 8) in 0..1."""
    return nn.Sequential(
        nn.Linear(LATENT_SIZE, hidden),
        nn.ReLU(),
        nn.Linear(hidden, hidden),
        nn.ReLU(),
        nn.Linear(hidden, IMAGE_SIDE * IMAGE_SIDE),
        nn.Sigmoid(),
        nn.Unflatten(1, (1, IMAGE_SIDE, IMAGE_SIDE)),
    )


def new_classifier() -> nn.Sequential:
    """Make the classifier, of 6,570 weights: image (n, 1, 8, 8) to ten logits (n, 10)."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(IMAGE_SIDE * IMAGE_SIDE, 64),
        nn.ReLU(),
        nn.Linear(64, 32),
        nn.ReLU(),
        nn.Linear(32, 10),
    )


def train_classifier(train: Split, random_seed: int) -> nn.Module:
    """Fit the small network by cross-entropy, without augmentation or early stopping."""
    generator = seeded(random_seed)
    model = new_classifier()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(CLASSIFIER_EPOCHS):
        for rows in torch.randperm(len(train.labels), generator=generator).split(BATCH_SIZE):
            optimizer.zero_grad()
            F.cross_entropy(model(train.images[rows]), train.labels[rows]).backward()
            optimizer.step()
    return model.eval()


def train_vae(train: Split, random_seed: int) -> tuple[Encoder, nn.Module]:
    """Fit the encoder and the decoder to pixel cross-entropy plus KL_WEIGHT times the divergence."""
    generator = seeded(random_seed)
    encoder, decoder = Encoder(), new_decoder()
    parameters = [*encoder.parameters(), *decoder.parameters()]
    optimizer = torch.optim.Adam(parameters)
    steps = VAE_EPOCHS * -(-len(train.labels) // BATCH_SIZE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=steps)
    for _ in range(VAE_EPOCHS):
        for rows in torch.randperm(len(train.labels), generator=generator).split(BATCH_SIZE):
            image = train.images[rows]
            mu, logvar = encoder(image)
            code = mu + torch.randn(mu.shape, generator=generator) * (logvar / 2).exp()
            pixels = F.binary_cross_entropy(decoder(code), image, reduction="sum")
            divergence = -0.5 * (1 + logvar - mu.square() - logvar.exp()).sum()
            optimizer.zero_grad()
            ((pixels + KL_WEIGHT * divergence) / len(rows)).backward()
            optimizer.step()
            schedule.step()
    return encoder.eval(), decoder.eval()


@torch.no_grad()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the share of the images (n, 1, 8, 8) whose largest output is at their label."""
    return (model(images).argmax(1) == labels).float().mean().item()


def export(model: nn.Module, example: Tensor, path: Path, inputs: str, outputs: list[str]) -> None:
    """Write a self-contained ONNX file that takes batches of any size."""
    with warnings.catch_warnings():
        # the TorchScript exporter needs no other package, but warns that a newer exporter exists
        warnings.simplefilter("ignore")
        torch.onnx.export(
            model,
            (example,),
            path,
            input_names=[inputs],
            output_names=outputs,
            dynamic_axes={name: {0: "batch"} for name in (inputs, *outputs)},
            opset_version=17,
            dynamo=False,
        )


def train_all(folder: Path, random_seed: int = 0) -> Trained:
    """Train all models. Write them, the dataset and the figures (`train.json`) to `folder`.

    This takes about half a minute on two cores. The same random seed gives the same models on the same kind
    of machine.
    """
    folder.mkdir(parents=True, exist_ok=True)
    digits = load()
    threads = torch.get_num_threads()
    # More threads do not speed up models this small, and one keeps the order of sums.
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng():
            return _train_and_export(folder, digits, random_seed)
    finally:
        torch.set_num_threads(threads)


def _train_and_export(folder: Path, digits: Digits, random_seed: int) -> Trained:
    classifier = train_classifier(digits.train, random_seed)
    encoder, decoder = train_vae(digits.train, random_seed + 1)
    measured, annotator = stand_in.train(digits, random_seed + 2)

    validation = digits.validation
    with torch.no_grad():
        reconstructions = decoder(encoder(validation.images)[0])
    right = accuracy(classifier, validation.images, validation.labels)
    trained = Trained(
        folder=folder,
        train_accuracy=accuracy(classifier, digits.train.images, digits.train.labels),
        validation_accuracy=right,
        readability=accuracy(classifier, reconstructions, validation.labels) / right,
        stand_in_validation_accuracy=accuracy(measured, validation.images, validation.labels),
    )
    image, code = validation.images[:2], torch.zeros(2, LATENT_SIZE)
    export(classifier, image, trained.classifier, "image", ["logits"])
    export(encoder, image, trained.encoder, "image", ["mu", "logvar"])
    export(decoder, code, trained.decoder, "code", ["image"])
    export(annotator, image, trained.stand_in, "image", ["probabilities"])
    digits.save(trained.dataset)
    figures = {name: value for name, value in asdict(trained).items() if name != "folder"}
    (folder / "train.json").write_text(json.dumps({"seed": random_seed, **figures}, indent=2) + "\n")
    return trained
