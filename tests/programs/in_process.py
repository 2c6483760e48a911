"""The programs called in the test's own process, as `python -m experiments.PROGRAM` calls them, but for starting."""

import contextlib
import importlib
import io
from unittest import mock

from absl import flags, logging

from experiments.flags import parse
from experiments.program import parsed


def call(program, *arguments):
    """The exit code, output and errors of the program."""
    module = importlib.import_module(f"experiments.{program}")
    values = flags.FlagValues()
    flags.DEFINE_integer("verbosity", -1, "As absl.logging defines it.", flag_values=values)
    (parse if program == "train" else module).define_flags(values)
    output, errors = io.StringIO(), io.StringIO()
    with (
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(errors),
        mock.patch.object(flags, "FLAGS", values),
        mock.patch.object(logging, "set_verbosity"),
        mock.patch.object(logging.get_absl_logger(), "addFilter"),
    ):
        code = _exit_code(module.main, [program, *map(str, arguments)])
    return code, output.getvalue(), errors.getvalue()


def _exit_code(main, arguments):
    try:
        main(parsed(arguments))
    except SystemExit as end:
        return _said(end.code) if isinstance(end.code, str) else end.code or 0
    return 0


def _said(sentence):
    import sys

    print(sentence, file=sys.stderr)
    return 1
