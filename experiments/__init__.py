"""The papers' experiments from the command line."""

import sys

from slotjax.data import require

try:
    require("experiments", "experiments", "absl-py", "matplotlib", "tensorboardX", "tqdm")
except ImportError as missing:
    # Here, because it holds for every program, and each imports them before its first own line.
    sys.exit(f"error: {missing}")
