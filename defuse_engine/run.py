"""One job at work: what its stages share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from defuse_engine.inputs.encode import encode_split
from defuse_engine.inputs.loaded import LoadedInputs
from defuse_engine.job_folder.job_file import Job
from defuse_engine.job_folder.reporting import Reporter
from defuse_engine.random_streams import numpy_generator, stream_random_seed
from defuse_engine.readers.independent_readers import IndependentReaders
from defuse_engine.types import Codes


@dataclass(frozen=True)
class Run:
    """The context of one job, from its search to its result."""

    inputs: LoadedInputs
    train_codes: Codes
    """mu of every train item, in the order of the train split."""
    random_seed: int
    """The job's: every random stream is derived from it."""
    folder: Path
    """The job folder."""
    reporter: Reporter
    independent: IndependentReaders
    """They look at what is left of a search."""
    trained: Path | None = None
    """A `readers.npz` that holds the readers; None: they are trained when they are first asked."""

    @property
    def device(self) -> str:
        """`cpu` or `cuda:N`."""
        return self.inputs.runtime.device

    @property
    def latent_spread(self) -> Float32[np.ndarray, " d"]:
        """Standard deviation of the train codes in each latent coordinate."""
        return self.train_codes.std(axis=0, dtype=np.float64).astype(np.float32)

    def generator(self, stage: str, shard: int = 0) -> np.random.Generator:
        """Return the random stream of a stage, from its start."""
        return numpy_generator(self.random_seed, stage, shard)

    def stream_random_seed(self, stage: str, shard: int = 0) -> int:
        """Return the 63-bit random seed of a stage."""
        return stream_random_seed(self.random_seed, stage, shard)


def open_run(
    job: Job, inputs: LoadedInputs, reporter: Reporter, independent: IndependentReaders | None = None
) -> Run:
    """Encode the train split; raises MODEL_NOT_FINITE if a code is NaN or infinite.

    `independent` are the readers that took part in the preflight; None: those that a job without one trains.
    """
    codes = encode_split(inputs.encoder, inputs.dataset.train, reporter)
    readers = independent or independent_readers(job, inputs, reporter, "neighbourhood")
    return Run(inputs, codes, job.random_seed, job.folder, reporter, readers, job.inputs.readers)


def independent_readers(job: Job, inputs: LoadedInputs, reporter: Reporter, stage: str) -> IndependentReaders:
    """Return the independent readers of a job, whose training is progress of `stage`."""
    return IndependentReaders(
        inputs.dataset,
        inputs.runtime,
        job.random_seed,
        lambda done, total: reporter.progress(stage, done, total, "steps"),
        trained=job.inputs.readers,
    )
