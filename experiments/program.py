"""What every program here does with its command line and with the errors that are its user's."""

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from absl import flags, logging

from experiments.output import OutputError, name_errors_of_output


def prepare(arguments: list[str]) -> None:
    """Refuses arguments that are no flags, and hides what libraries log unless `--verbosity` is given.

    From here on, what cannot be printed is an OutputError.
    """
    name_errors_of_output()
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
        # What it warns of, `training.Checkpoints` says in a sentence.
        logging.get_absl_logger().addFilter(lambda record: "orbax" not in Path(record.pathname).parts)
    if len(arguments) > 1:
        sys.exit(f"error: {arguments[1]!r} is not a flag; see --help")


@contextlib.contextmanager
def one_sentence(*errors: type[Exception]) -> Iterator[None]:
    """Ends the program with code 1 and the sentence of an error of these types, or of what cannot be printed."""
    try:
        yield
        sys.stdout.flush()
    except OutputError as error:
        sys.exit(f"error: {error}")
    except errors as error:
        sys.exit(f"error: {error}")
