"""A process of `python -m experiments.reproduce --jobs=N`, which alone starts it: `experiments/papers/jobs.py`."""

import sys
from multiprocessing.connection import Connection

from experiments.papers.attempt import keep_compiled
from experiments.papers.job import serve
from experiments.program import prepare


def main() -> None:
    """Serves whoever holds the other end of the socket of that number."""
    prepare([])
    connection = Connection(int(sys.argv[1]))
    directories = connection.recv()
    keep_compiled(directories.compiled)
    serve(connection, directories)


if __name__ == "__main__":
    main()
