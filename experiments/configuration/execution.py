"""How a run is executed, which decides none of its numbers."""

import dataclasses

from absl import flags

from experiments.configuration.fields import flag


@dataclasses.dataclass(frozen=True, kw_only=True)
class Execution:
    """What may differ between two runs with the same numbers."""

    data_dir: str | None = flag(
        None, flags.DEFINE_string, "Where datasets are prepared. Default: TFDS_DATA_DIR or ~/tensorflow_datasets."
    )
    workdir: str | None = flag(
        None,
        flags.DEFINE_string,
        "Where everything is written; an unfinished run there is resumed. Default: runs/...",
    )
    overwrite: bool = flag(False, flags.DEFINE_bool, "Delete the run in --workdir and start again.")
    workers: int | None = flag(
        None, flags.DEFINE_integer, "ImageNet: processes that read images. Default: one for each CPU core."
    )
    summary: bool = flag(
        False,
        flags.DEFINE_bool,
        "Print a table of the network first: what is selected, at which scale, and what it weighs.",
    )
    profile: bool = flag(
        False,
        flags.DEFINE_bool,
        "Leave a trace of JAX's profiler in the workdir: of one epoch, the second if there is, or of some steps of "
        "ImageNet.",
    )
    checkpoint_steps: int = flag(
        1000, flags.DEFINE_integer, "ImageNet: steps from one checkpoint within an epoch to the next."
    )
    checkpoint_every: int = flag(1, flags.DEFINE_integer, "Epochs from one checkpoint to the next.")
    shard_state: bool = flag(
        False,
        flags.DEFINE_bool,
        "Split what is trained, momentum and stored options over the devices, where their number divides a dimension.",
    )
    coordinator_address: str | None = flag(
        None,
        flags.DEFINE_string,
        "HOST:PORT of process 0 of several. Not needed on Cloud TPU, Slurm and Kubernetes, which tell JAX themselves.",
    )
    num_processes: int | None = flag(None, flags.DEFINE_integer, "How many processes there are.")
    process_id: int | None = flag(None, flags.DEFINE_integer, "Which of them this is, from 0.")
    keep_epochs: tuple[int, ...] = flag(
        (), flags.DEFINE_list, "Epochs whose checkpoints are kept, beside the latest 2 and the best 1."
    )
