"""Trains a slot machine: a network whose weights are never updated.

    python -m experiments.train                                   5,000 real digits: 94.4 % in 13 seconds
    python -m experiments.train --dataset=mnist --data_dir=DIR    MNIST as in the paper: 98.1 % in 4 minutes

Times are of two CPU cores, without those of installing and starting.
"""

from absl import flags

from experiments.flags import parse
from experiments.flags.topics import help_by_topic
from experiments.program import one_sentence, prepare, start
from experiments.running.failure import RunError, Stopped
from experiments.running.next_steps import next_steps
from experiments.running.processes import ended_together, join
from experiments.running.run import run
from experiments.running.summary import table


def main(arguments: list[str]) -> None:
    """Trains with the settings of the flags and prints the results."""
    prepare(arguments)
    with one_sentence(ValueError):
        settings, execution = parse.from_flags(flags.FLAGS)
        join(execution)
    with ended_together(), one_sentence(RunError):
        try:
            print(table(run(settings, execution), settings, next_steps(settings, execution)))
        except Stopped as stopped:
            print(stopped)


if __name__ == "__main__":
    parse.define_flags()
    start(main, help_by_topic)
