"""Settings of a run: what decides its numbers and what does not, with their flags' defaults and explanations."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from absl import flags

from slotjax import models, training

REST = ("learned", "fixed")
OPTIMIZERS = ("sgd", "adam")
METHODS = ("slot_machine", "edge_popup", "supermask", "learned", "random")
DISTRIBUTIONS = (
    "glorot_uniform",
    "glorot_deviation",
    "glorot_normal",
    "kaiming_normal",
    "kaiming_uniform",
    "signed_kaiming_constant",
    "xavier_normal",
    "signed_xavier_constant",
)


def _flag(default: Any, define: Callable[..., Any], explanation: str) -> Any:
    return dataclasses.field(default=default, metadata={"define": define, "help": explanation})


@dataclasses.dataclass(frozen=True)
class Settings:
    """What decides the numbers of a run: the same settings on the same machine give bitwise the same metrics."""

    model: str = _flag("lenet", flags.DEFINE_string, f"Network: {', '.join(models.MODELS)}.")
    padding: str | None = _flag(
        None,
        flags.DEFINE_string,
        "CONV networks: padding of the first four convolutions, SAME or VALID. Unless given, as in the papers' codes: "
        "SAME for masks, else VALID.",
    )
    width_multiplier: float = _flag(1.0, flags.DEFINE_float, "CONV networks: scales the width of every layer.")
    dropout: float | None = _flag(
        None,
        flags.DEFINE_float,
        "CONV networks and VGG-19: share of units dropped before each fully connected layer. Unless given, 0 for masks "
        "and else 0.5, as in the papers.",
    )
    affine: bool = _flag(
        False, flags.DEFINE_bool, "VGG-19 and ResNets: batch norm with scale and bias (see --biases_and_scales)."
    )
    dataset: str = _flag(
        "mnist_sample",
        flags.DEFINE_string,
        "mnist_sample (5,000 real digits that come with an installed package), mnist, fashion_mnist, cifar10, "
        "cifar100, imagenet2012 (prepared by TFDS, see --data_dir) or npz:PATH (arrays x_train, y_train, optionally "
        "x_validation, y_validation, x_test, y_test).",
    )
    train_on_all: bool = _flag(
        False,
        flags.DEFINE_bool,
        "Train on the validation images as well. Then the accuracy on them says nothing, and that of the last epoch is "
        "what counts, as in the paper of edge-popup.",
    )
    examples: int | None = _flag(
        None,
        flags.DEFINE_integer,
        "Only so many images of every split, to try something out. Unless given, all.",
    )
    image_size: int = _flag(224, flags.DEFINE_integer, "ImageNet: height and width of the images that networks see.")
    augmentation: str | None = _flag(
        None,
        flags.DEFINE_string,
        "Random changes of training images: none, flip or flip_and_crop. Unless given, none but for CIFAR, which masks "
        "flip and crop and the others flip.",
    )
    method: str = _flag(
        "slot_machine",
        flags.DEFINE_string,
        "How weights come about: slot_machine, edge_popup, supermask, learned (ordinary training) or random (nothing "
        "is trained).",
    )
    k: int = _flag(8, flags.DEFINE_integer, "Slot machine: options per connection.")
    selection: str = _flag(
        "greedy", flags.DEFINE_string, "Slot machine: how an option is chosen, greedy or probabilistic."
    )
    scores: str = _flag(
        "factored",
        flags.DEFINE_string,
        "Slot machine: how scores are held, factored (two numbers per connection, whatever K is) or explicit (K, as in "
        "the paper). Both train alike.",
    )
    share: str = _flag(
        "connection",
        flags.DEFINE_string,
        "Slot machine: which connections have the same options, none (connection), those of a layer or of the network.",
    )
    sparse: bool = _flag(False, flags.DEFINE_bool, "Slot machine: let one option of every connection be 0.")
    initial: str = _flag(
        "uniform",
        flags.DEFINE_string,
        "Slot machine: initial scores, uniform (as in the paper) or nearest (those by which the option nearest to a "
        "random value is the first choice).",
    )
    keep_fraction: float = _flag(0.5, flags.DEFINE_float, "Edge-popup: share of the weights that is kept.")
    ranking: str = _flag(
        "layer", flags.DEFINE_string, "Edge-popup: whether weights are ranked per layer or all together (global)."
    )
    evaluation: str = _flag(
        "thresholded",
        flags.DEFINE_string,
        "Supermask: the mask at evaluation, thresholded (probability at least 1/2), expected (the probabilities "
        "themselves) or sampled (one draw).",
    )
    rescale: bool = _flag(
        False, flags.DEFINE_bool, "Supermask: divide each layer's weights by the share of them that is kept."
    )
    init_from: str | None = _flag(
        None,
        flags.DEFINE_string,
        "Learned: start from what a finished or running run selected, WORKDIR[@EPOCH] (finetuning). Without an epoch, "
        "the one of the best validation accuracy.",
    )
    biases_and_scales: str = _flag(
        "learned",
        flags.DEFINE_string,
        "Biases, and scales of normalization, in networks that have them: learned, or fixed at what they start from, "
        "which is to have none.",
    )
    options: str = _flag(
        "seeded",
        flags.DEFINE_string,
        "Where random values are: seeded (recomputed from a seed wherever used) or stored. Both are the same values.",
    )
    distribution: str | None = _flag(
        None,
        flags.DEFINE_string,
        "What random values are drawn from: glorot_uniform (the limit, as in the slot machines' code; their default "
        "and that of learned weights), glorot_deviation (uniform up to the deviation, as in their text), "
        "glorot_normal, kaiming_normal, kaiming_uniform, signed_kaiming_constant (the default of masks), xavier_normal "
        "or signed_xavier_constant.",
    )
    fan: str = _flag(
        "fan_in", flags.DEFINE_string, "Which fan the Kaiming and Xavier distributions count: fan_in or fan_out."
    )
    scale_for_kept: bool = _flag(
        False, flags.DEFINE_bool, "Edge-popup: multiply random weights by sqrt(1 / keep_fraction)."
    )
    score_scale: float | None = _flag(
        None,
        flags.DEFINE_float,
        "Lambda: initial scores are U(0, lambda sigma). Unless given, 0.1 for dense and 1 for convolutional layers.",
    )
    epochs: int | None = _flag(
        None,
        flags.DEFINE_integer,
        "Passes over the training split. Unless given, the papers': 200 for slot machines and learned weights (CONV-4 "
        "and 6: 330 for learned weights; VGG-19: 220 and 320), 100 for masks, finetuning and ImageNet.",
    )
    batch_size: int | None = _flag(
        None,
        flags.DEFINE_integer,
        "Examples per step, over all devices. Unless given, the papers': 128, Adam 60, ImageNet 256.",
    )
    learning_rate: float | None = _flag(
        None,
        flags.DEFINE_float,
        "Learning rate. Unless given, the paper's: greedy 0.2 for K up to 8 and 0.1 above, probabilistic 25, "
        "edge-popup 0.1, supermask 200, learned 0.01 (VGG-19 and ResNets 0.1; Adam 3e-4, CONV-2 2e-4); on ImageNet "
        "0.256 for edge-popup and learned.",
    )
    optimizer: str = _flag(
        "sgd", flags.DEFINE_string, "What updates scores or weights: sgd, or adam, which needs --scores=explicit."
    )
    momentum: float | None = _flag(
        None,
        flags.DEFINE_float,
        "Momentum of SGD, from 0 to less than 1. Unless given, the papers': 0.9, ImageNet 0.875.",
    )
    nesterov: bool = _flag(False, flags.DEFINE_bool, "Use Nesterov's momentum.")
    weight_decay: float | None = _flag(
        None,
        flags.DEFINE_float,
        "L2 penalty on what trains. Unless given, the paper's: 1e-4, 0 for probabilistic slot machines, supermasks and "
        "Adam, and on ImageNet 2**-15 for edge-popup and learned weights.",
    )
    schedule: str | None = _flag(
        None,
        flags.DEFINE_string,
        f"Learning rate schedule: {', '.join(training.SCHEDULES)}. Unless given, the paper's: warm_restarts for slot "
        "machines and learned weights, cosine for masks and ImageNet, constant for Adam.",
    )
    restarts: tuple[int, ...] = _flag((25, 75), flags.DEFINE_list, "Epochs at which warm_restarts restarts.")
    warmup_epochs: int | None = _flag(
        None,
        flags.DEFINE_integer,
        "Epochs in which the learning rate rises from 0, linearly. Unless given, 0, and 5 for ImageNet.",
    )
    label_smoothing: float | None = _flag(
        None,
        flags.DEFINE_float,
        "Share of each label's probability that is spread over all classes, in training. Unless given, 0, and 0.1 for "
        "ImageNet.",
    )
    compute_dtype: str = _flag(
        "float32",
        flags.DEFINE_string,
        "What networks are computed in, float32 or bfloat16. Scores, statistics of batches and losses are in float32.",
    )
    seed: int = _flag(0, flags.DEFINE_integer, "Seed of options, initial scores, shuffling and sampling.")


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """What may differ between two runs with the same numbers."""

    data_dir: str | None = _flag(
        None, flags.DEFINE_string, "Where datasets are prepared. Unless given, TFDS_DATA_DIR or ~/tensorflow_datasets."
    )
    workdir: str | None = _flag(
        None,
        flags.DEFINE_string,
        "Where everything is written; an unfinished run there is resumed. Unless given, runs/...",
    )
    overwrite: bool = _flag(False, flags.DEFINE_bool, "Delete the run in --workdir and start again.")
    workers: int | None = _flag(
        None, flags.DEFINE_integer, "ImageNet: processes that read images. Unless given, one for each CPU core."
    )
    profile: bool = _flag(
        False,
        flags.DEFINE_bool,
        "Leave a trace of JAX's profiler in the workdir: of one epoch, the second if there is, or of some steps of "
        "ImageNet.",
    )
    checkpoint_steps: int = _flag(
        1000, flags.DEFINE_integer, "ImageNet: steps from one checkpoint within an epoch to the next."
    )
    checkpoint_every: int = _flag(1, flags.DEFINE_integer, "Epochs from one checkpoint to the next.")
    shard_state: bool = _flag(
        False,
        flags.DEFINE_bool,
        "Split what is trained, momentum and stored options over the devices, where their number divides a dimension.",
    )
    coordinator_address: str | None = _flag(
        None,
        flags.DEFINE_string,
        "HOST:PORT of process 0 of several. Not needed on Cloud TPU, Slurm and Kubernetes, which tell JAX themselves.",
    )
    num_processes: int | None = _flag(None, flags.DEFINE_integer, "How many processes there are.")
    process_id: int | None = _flag(None, flags.DEFINE_integer, "Which of them this is, from 0.")
    keep_epochs: tuple[int, ...] = _flag(
        (), flags.DEFINE_list, "Epochs whose checkpoints are kept, beside the latest 2 and the best 1."
    )


def describe(settings: Settings) -> str:
    """The method and what varies most of it.

    >>> describe(Settings(k=2, sparse=True)), describe(Settings(method="edge_popup"))
    ('greedy slot machine, K = 2, sparse', 'edge-popup, 50 % kept')
    """
    if settings.method == "slot_machine":
        share = {"connection": "", "layer": ", shared per layer", "network": ", shared by the network"}[settings.share]
        marks = (", sparse" if settings.sparse else "") + (", nearest" if settings.initial == "nearest" else "")
        return f"{settings.selection} slot machine, K = {settings.k}{share}{marks}"
    if settings.method == "edge_popup":
        return f"edge-popup, {100 * settings.keep_fraction:g} % kept" + (
            "" if settings.ranking == "layer" else ", ranked globally"
        )
    if settings.method == "learned" and settings.init_from:
        return "finetuning"
    return {"supermask": "supermask", "learned": "learned weights", "random": "random weights"}[settings.method]


def default_workdir(settings: Settings) -> str:
    """A directory named after the settings that vary most.

    >>> default_workdir(Settings()), default_workdir(Settings(method="edge_popup", seed=3))
    ('runs/mnist_sample-lenet-greedy-k8-seed0', 'runs/mnist_sample-lenet-edge_popup-0.5-seed3')
    """
    dataset = Path(settings.dataset).stem if settings.dataset.startswith("npz:") else settings.dataset
    return f"runs/{dataset}-{settings.model}-{_short(settings)}-seed{settings.seed}"


def _short(settings: Settings) -> str:
    if settings.method == "slot_machine":
        words = [settings.selection, f"k{settings.k}"]
        words += [settings.share] if settings.share != "connection" else []
        words += ["sparse"] if settings.sparse else []
        return "-".join(words + (["nearest"] if settings.initial == "nearest" else []))
    if settings.method == "edge_popup":
        return f"edge_popup-{settings.keep_fraction:g}" + ("-global" if settings.ranking == "global" else "")
    return "finetuned" if settings.init_from else settings.method
