"""What every program here does with its command line and with the errors that are its user's."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from absl import app, flags, logging

from experiments.output import OutputError, name_errors_of_output
from experiments.vectors import prefer_wide_vectors

_ALLOWED = {  # by the words of Python's and absl's errors
    "invalid literal for int()": "a whole number",
    "could not convert string to float": "a number",
    "('Non-boolean argument": "true or false",
}


class Help(app.HelpFlag):
    """`--help` that prints a text of the program's own, in place of absl's list by the alphabet."""

    def __init__(self, text: Callable[[flags.FlagValues], str]) -> None:
        super().__init__()
        self.allow_override, self._text = True, text  # absl has defined one by then

    def parse(self, arg: Any) -> None:
        """Prints it and ends the program, if the flag is given."""
        if self._parse(arg):
            print(f"{sys.modules['__main__'].__doc__}\n{self._text(flags.FLAGS)}\n")
            print("Try --helpfull for the flags of absl.", flush=True)
            sys.exit(0)


def start(main: Callable[[list[str]], None], help_text: Callable[[flags.FlagValues], str] | None = None) -> None:
    """Calls `main` with the command line, whose flags are parsed by then; to be called after they are defined.

    `help_text` makes what `--help` prints below the program's docstring. Default: absl's list of flags.
    """
    prefer_wide_vectors()
    app.run(main, flags_parser=partial(parsed, help_text=help_text))


def parsed(arguments: list[str], help_text: Callable[[flags.FlagValues], str] | None = None) -> list[str]:
    """The arguments that are no flags. A flag that cannot be parsed ends the program in one sentence.

    From here on, what cannot be printed is an OutputError.
    """
    name_errors_of_output()  # of which --help has the most
    if help_text:
        flags.DEFINE_flag(Help(help_text), flags.FLAGS)
    with one_sentence():
        try:
            return flags.FLAGS(arguments)
        except flags.Error as error:
            sys.exit(sentence(unparsed(error)))


def unparsed(error: flags.Error) -> str:
    """What is said of a flag that cannot be parsed, with what is allowed, which absl leaves to Python's words.

    >>> unparsed(flags.Error("flag --k=1.5: invalid literal for int() with base 10: '1.5'"))
    "--k: '1.5' was given, but it must be a whole number"
    """
    said = str(error).removeprefix("flag ")
    for reason, allowed in _ALLOWED.items():
        given, found, _ = said.partition(f": {reason}")
        if found:
            name, _, value = given.partition("=")
            return f"{name}: {value!r} was given, but it must be {allowed}"
    return f"{said}; see --help"


def sentence(error: object) -> str:
    r"""What is said of an error, on one line; of characters that a terminal obeys, Python's names.

    >>> print(sentence("--workdir: a\nb\x1b[2J holds no run"))
    error: --workdir: a\nb\x1b[2J holds no run
    """
    shown = "".join(one if one.isprintable() else repr(one)[1:-1] for one in str(error))
    return f"error: {shown}"


def prepare(arguments: list[str]) -> None:
    """Refuses arguments that are no flags, and hides what libraries log unless `--verbosity` is given."""
    if not flags.FLAGS["verbosity"].present:
        logging.set_verbosity(logging.WARNING)
        # What it warns of, `training.Checkpoints` says in a sentence.
        logging.get_absl_logger().addFilter(lambda record: "orbax" not in Path(record.pathname).parts)
    if len(arguments) > 1:
        sys.exit(sentence(f"{arguments[1]!r} is not a flag; see --help"))


@contextlib.contextmanager
def one_sentence(*errors: type[Exception]) -> Iterator[None]:
    """Ends the program with code 1 and the sentence of an error of these types, or of what cannot be printed."""
    try:
        yield
        sys.stdout.flush()
    except OutputError as error:
        sys.exit(sentence(error))
    except errors as error:
        sys.exit(sentence(error))
