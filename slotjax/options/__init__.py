"""Random values: the K options of each connection and the scores that training starts from."""

from slotjax.options.options import Codebook, OneByOne, Options, Storage, kept_ratio
from slotjax.options.seeded import (
    SCORE_STEP,
    Seed,
    Seeded,
    at_least_float32,
    connection_words,
    draw_seed,
    mix,
    option_words,
    random_bits,
    uniform_numbers,
    unit_score,
)
from slotjax.options.sources import (
    FromArrays,
    FromLayer,
    FromSeed,
    FromWeight,
    Initializer,
    Source,
    check_distribution,
    draw_options,
    initial_scores,
)
from slotjax.options.stored import Shared, Stored

__all__ = [
    "SCORE_STEP",
    "Codebook",
    "FromArrays",
    "FromLayer",
    "FromSeed",
    "FromWeight",
    "Initializer",
    "OneByOne",
    "Options",
    "Seed",
    "Seeded",
    "Shared",
    "Source",
    "Storage",
    "Stored",
    "at_least_float32",
    "check_distribution",
    "connection_words",
    "draw_options",
    "draw_seed",
    "initial_scores",
    "kept_ratio",
    "mix",
    "option_words",
    "random_bits",
    "uniform_numbers",
    "unit_score",
]
