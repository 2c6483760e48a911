"""The flags of the training program, parsed as it parses them."""

from absl import flags

from experiments.flags import parse as parsing


def parse(*arguments):
    values = flags.FlagValues()
    parsing.define_flags(values)
    values(["train", *arguments])
    return parsing.from_flags(values)
