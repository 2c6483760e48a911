"""Random values: the K options of each connection and the scores that training starts from."""

from slotjax.options.checksum import checksum
from slotjax.options.deviation import own_sigma, total_magnitude, varies_about_zero
from slotjax.options.drawing import (
    Initializer,
    check_distribution,
    draw_options,
    dtype_of,
    initial_scores,
    made_from,
    scale_at_init,
    sigma_at_init,
    sigma_of,
)
from slotjax.options.drawn import GENERATOR, Drawn, Made, MisfitError
from slotjax.options.frozen_share import FrozenShare
from slotjax.options.generator import (
    MOST_STRATA,
    SCORE_STEP,
    STRATIFIED,
    Seed,
    at_least_float32,
    connection_words,
    draw_seed,
    mix,
    option_words,
    random_bits,
    rounded,
    stratified_bits,
    uniform_numbers,
    unit_score,
)
from slotjax.options.multiples import Multiples
from slotjax.options.options import Codebook, OneByOne, Options, Storage, kept_ratio
from slotjax.options.placement import explicit_sharding, placed_like, widened
from slotjax.options.seeded import Seeded, limit_of
from slotjax.options.sources import (
    FromArrays,
    FromLayer,
    FromSeed,
    FromWeight,
    Source,
    check_flag,
    check_one_of,
    own_options,
)
from slotjax.options.stored import Shared, Stored

__all__ = [
    "GENERATOR",
    "MOST_STRATA",
    "SCORE_STEP",
    "STRATIFIED",
    "Codebook",
    "Drawn",
    "FromArrays",
    "FromLayer",
    "FromSeed",
    "FromWeight",
    "FrozenShare",
    "Initializer",
    "Made",
    "MisfitError",
    "Multiples",
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
    "check_flag",
    "check_one_of",
    "checksum",
    "connection_words",
    "draw_options",
    "draw_seed",
    "dtype_of",
    "explicit_sharding",
    "initial_scores",
    "kept_ratio",
    "limit_of",
    "made_from",
    "mix",
    "option_words",
    "own_options",
    "own_sigma",
    "placed_like",
    "random_bits",
    "rounded",
    "scale_at_init",
    "sigma_at_init",
    "sigma_of",
    "stratified_bits",
    "total_magnitude",
    "uniform_numbers",
    "unit_score",
    "varies_about_zero",
    "widened",
]
