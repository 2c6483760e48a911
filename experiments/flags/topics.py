"""The flags of training by topic, those that matter most first, as `--help` and the page of the programs show them."""

from collections.abc import Mapping

from absl import flags

TOPICS: Mapping[str, tuple[str, ...]] = {
    "First of all": (
        *("method", "k", "keep_fraction", "model", "dataset", "data_dir"),
        *("optimizer", "epochs", "seed", "workdir"),
    ),
    "The network": ("padding", "width_multiplier", "dropout", "affine", "biases_and_scales", "compute_dtype"),
    "The data": ("augmentation", "train_on_all", "examples", "image_size", "workers"),
    "Slot machines": ("selection", "initial", "share", "sparse", "scores", "score_scale"),
    "Masks": ("keep_fractions", "ranking", "pruned", "kept", "scale_for_kept", "evaluation", "rescale"),
    "Random values": ("distribution", "scale_factor", "fan", "options", "where"),
    "Training": (
        *("learning_rate", "batch_size", "epoch_steps", "momentum", "nesterov", "weight_decay"),
        *("schedule", "restarts", "warmup_epochs", "label_smoothing", "init_from"),
    ),
    "The run and its files": (
        *("summary", "overwrite", "checkpoint_every", "checkpoint_steps", "keep_epochs", "profile"),
    ),
    "Many devices and machines": ("shard_state", "coordinator_address", "num_processes", "process_id"),
}


def help_by_topic(values: flags.FlagValues) -> str:
    r"""What every flag does, topic by topic.

    >>> values = flags.FlagValues()
    >>> for name in (name for names in TOPICS.values() for name in names):
    ...     _ = flags.DEFINE_integer(name, 8, f"What {name} does.", flag_values=values)
    >>> print("\n".join(help_by_topic(values).splitlines()[:3]))
    First of all:
      --method: What method does. Default: 8.
      --k: What k does. Default: 8.
    """
    return "\n\n".join(
        "\n".join([f"{topic}:", *map(_shown, map(values.__getitem__, TOPICS[topic]))]) for topic in TOPICS
    )


def _shown(flag: flags.Flag) -> str:
    name = f"--[no]{flag.name}" if flag.boolean else f"--{flag.name}"
    # Recipes' defaults are in the help already, and that a switch is off needs no words.
    silent = flag.default is None or flag.default is False or flag.default == []
    default = "" if silent else f" Default: {_value(flag.default)}."
    return flags.text_wrap(f"{name}: {flag.help}{default}", flags.get_help_width(), " " * 6, "  ")


def _value(default: object) -> str:
    return ",".join(default) if isinstance(default, list) else f"{default}"
