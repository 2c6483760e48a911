"""What decides the numbers of a run: as a user asks for it, and with the recipe's values for what was not said."""

import dataclasses

from absl import flags

from experiments.configuration.choices import CHOICES
from experiments.configuration.fields import flag


@dataclasses.dataclass(frozen=True, kw_only=True)
class Request:
    """What a user asks for. What `Settings` names again may be absent here, as None: the recipe fills it.

    The help of a flag that concerns some methods only begins with their names: "Edge-popup: share of the weights ...".

    >>> Request(k=64).learning_rate is None
    True
    """

    model: str = flag("lenet", flags.DEFINE_string, f"Network: {', '.join(CHOICES['model'])}.")
    padding: str | None = flag(
        None,
        flags.DEFINE_string,
        "CONV networks: padding of the first four convolutions, SAME or VALID, as in the papers' codes.",
    )
    width_multiplier: float = flag(
        1.0, flags.DEFINE_float, "CONV networks and char_transformer: scales the width of every layer."
    )
    dropout: float | None = flag(
        None,
        flags.DEFINE_float,
        "CONV networks and VGG-19: share of units dropped before each fully connected layer, as in the papers.",
    )
    affine: bool = flag(
        False, flags.DEFINE_bool, "VGG-19 and ResNets: batch norm with scale and bias (see --biases_and_scales)."
    )
    dataset: str = flag(
        "mnist_sample",
        flags.DEFINE_string,
        "Dataset: mnist_sample (5,000 real digits that come with an installed package), mnist, fashion_mnist, cifar10, "
        "cifar100, imagenet2012 (prepared by TFDS, see --data_dir), stdlib (the sources of Python's standard library, "
        "for char_transformer) or npz:PATH (arrays x_train, y_train, optionally x_validation, y_validation, x_test, "
        "y_test).",
    )
    train_on_all: bool = flag(
        False,
        flags.DEFINE_bool,
        "Train on the validation images as well. Then the accuracy on them says nothing, and that of the last epoch is "
        "what counts, as in the paper of edge-popup.",
    )
    examples: int | None = flag(
        None,
        flags.DEFINE_integer,
        "Use only so many images of every split, or windows of a text, to try something out. Default: all.",
    )
    image_size: int = flag(224, flags.DEFINE_integer, "ImageNet: height and width of the images that networks see.")
    augmentation: str | None = flag(
        None,
        flags.DEFINE_string,
        "Random changes of training images: none, flip, flip_and_crop or flip_crop_and_cutout.",
    )
    method: str = flag("slot_machine", flags.DEFINE_string, "How weights come about")  # continued by the methods
    k: int = flag(8, flags.DEFINE_integer, "options per connection.")
    selection: str = flag("greedy", flags.DEFINE_string, "how an option is chosen, greedy or probabilistic.")
    scores: str = flag(
        "factored",
        flags.DEFINE_string,
        "how scores are held, factored (two numbers per connection, whatever K is) or explicit (K, as in the paper). "
        "Both train alike.",
    )
    share: str = flag(
        "connection",
        flags.DEFINE_string,
        "which connections have the same options, none (connection), those of a layer or of the network.",
    )
    sparse: bool = flag(False, flags.DEFINE_bool, "let one option of every connection be 0.")
    initial: str = flag(
        "uniform",
        flags.DEFINE_string,
        "initial scores, uniform (as in the paper), nearest (those by which the option nearest to a random value is "
        "the first choice) or given (the same from the weights of --init_from).",
    )
    keep_fraction: float = flag(0.5, flags.DEFINE_float, "share of the weights that is kept.")
    keep_fractions: tuple[float, ...] = flag(
        (0.5, 0.33, 0.17), flags.DEFINE_list, "of each mask, or coat, the share of weights that it keeps, decreasing."
    )
    pruned: float = flag(0.25, flags.DEFINE_float, "share of the weights that are 0 for ever.")
    kept: float = flag(0.25, flags.DEFINE_float, "share of the weights that are kept for ever.")
    ranking: str = flag("layer", flags.DEFINE_string, "whether weights are ranked per layer or all together (global).")
    evaluation: str = flag(
        "thresholded",
        flags.DEFINE_string,
        "the mask at evaluation, thresholded (probability at least 1/2), expected (the probabilities themselves) or "
        "sampled (one draw).",
    )
    rescale: bool = flag(False, flags.DEFINE_bool, "divide each layer's weights by the share of them that is kept.")
    init_from: str | None = flag(
        None,
        flags.DEFINE_string,
        "start from what a finished or running run selected, WORKDIR[@EPOCH] (finetuning). Default epoch: that of the "
        "best validation accuracy.",
    )
    where: str = flag(
        "kernels",
        flags.DEFINE_string,
        "which weights of char_transformer are selected, kernels or all (embeddings and positions too). The others are "
        "learned, as biases and scales are.",
    )
    biases_and_scales: str = flag(
        "learned",
        flags.DEFINE_string,
        "Biases, and scales of normalization, in networks that have them: learned, or fixed at what they start from, "
        "which is to have none.",
    )
    options: str = flag(
        "seeded",
        flags.DEFINE_string,
        "where random values are, seeded (recomputed from a seed wherever used) or stored. Both are the same values.",
    )
    distribution: str | None = flag(
        None,
        flags.DEFINE_string,
        "What random values are drawn from: glorot_uniform (the limit, as in the slot machines' code), "
        "glorot_deviation (uniform up to the deviation, as in their text), glorot_normal, kaiming_normal, "
        "kaiming_uniform, signed_kaiming_constant, xavier_normal or signed_xavier_constant; or, at the deviation that "
        "the network's own initializer gave to each weight, own_uniform, own_bell (the sum of four uniform numbers), "
        "own_stratified (spread evenly over a bell's range, so that K costs nothing), own_normal or own "
        "(uniform for slot machines, one magnitude for masks; learned weights start from that initializer's values).",
    )
    scale_factor: float = flag(
        1.0,
        flags.DEFINE_float,
        "Multiplies the deviation of own_uniform, own_bell, own_stratified and own_normal random values.",
    )
    fan: str = flag(
        "fan_in", flags.DEFINE_string, "Which fan the Kaiming and Xavier distributions count: fan_in or fan_out."
    )
    scale_for_kept: bool = flag(
        False, flags.DEFINE_bool, "scale random weights so that those that are kept have the variance of all."
    )
    score_scale: float | None = flag(
        None,
        flags.DEFINE_float,
        "lambda, where initial scores are U(0, lambda sigma). Default: 0.1 for dense and 1 for convolutional layers.",
    )
    epochs: int | None = flag(None, flags.DEFINE_integer, "Passes over the training split.")
    epoch_steps: int | None = flag(
        None,
        flags.DEFINE_integer,
        "Steps of an epoch, with other examples of the training split in each, chosen at random.",
    )
    batch_size: int | None = flag(None, flags.DEFINE_integer, "Examples per step, over all devices.")
    learning_rate: float | None = flag(None, flags.DEFINE_float, "Learning rate.")
    optimizer: str = flag(
        "sgd",
        flags.DEFINE_string,
        "What updates scores or weights: sgd or adam. With factored scores, adam trains latent values, which is not "
        "the paper's method; with --scores=explicit, it trains the paper's scores.",
    )
    momentum: float | None = flag(None, flags.DEFINE_float, "Momentum of SGD, from 0 to less than 1.")
    nesterov: bool = flag(False, flags.DEFINE_bool, "Use Nesterov's momentum.")
    weight_decay: float | None = flag(None, flags.DEFINE_float, "L2 penalty on what trains.")
    schedule: str | None = flag(None, flags.DEFINE_string, f"Learning rate schedule: {', '.join(CHOICES['schedule'])}.")
    restarts: tuple[int, ...] = flag((25, 75), flags.DEFINE_list, "Epochs at which warm_restarts restarts.")
    warmup_epochs: float | None = flag(
        None,
        flags.DEFINE_float,
        "Epochs, or a part of one, in which the learning rate rises linearly from 0. By default it is shorter than the "
        "run by at least an epoch, so there is none with --epochs=1.",
    )
    label_smoothing: float | None = flag(
        None,
        flags.DEFINE_float,
        "Share of each label's probability that is spread over all classes, in training.",
    )
    compute_dtype: str = flag(
        "float32",
        flags.DEFINE_string,
        "What networks are computed in, float32 or bfloat16. Scores, statistics of batches and losses are in float32.",
    )
    seed: int = flag(0, flags.DEFINE_integer, "Seed of options, initial scores, shuffling and sampling.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(Request):
    """What a run has: a request of which nothing is absent, as `experiments.flags.resolve` makes it.

    The same settings on the same machine give bitwise the same metrics. Those that are None say something by it: all
    examples, all steps, initial scores scaled by rank, no run to start from.
    """

    padding: str = dataclasses.field()
    dropout: float = dataclasses.field()
    augmentation: str = dataclasses.field()
    distribution: str = dataclasses.field()
    epochs: int = dataclasses.field()
    epoch_steps: int | None = dataclasses.field()
    batch_size: int = dataclasses.field()
    learning_rate: float = dataclasses.field()
    momentum: float = dataclasses.field()
    weight_decay: float = dataclasses.field()
    schedule: str = dataclasses.field()
    warmup_epochs: float = dataclasses.field()
    label_smoothing: float = dataclasses.field()
