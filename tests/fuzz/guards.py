"""What holds of every program and of every file, whatever it is given."""

import contextlib
import tracemalloc


def assert_one_sentence(code, errors):
    """Success, or code 1 with one sentence; nothing that a terminal would obey."""
    assert code in (0, 1), errors
    assert "Traceback" not in errors
    if code == 1:
        (sentence,) = [line for line in errors.split("\n") if line.startswith("error: ")]
        assert len(sentence) > len("error: --")
        assert errors.endswith(f"{sentence}\n"), errors
    assert all(letter.isprintable() for line in errors.split("\n") for letter in line), errors


@contextlib.contextmanager
def refused(*kinds):
    """Success, or an error of these types."""
    with contextlib.suppress(*kinds):
        yield


@contextlib.contextmanager
def unchanged(directory):
    """Nothing in a directory is added, removed or changed."""
    before = snapshot(directory)
    yield
    assert snapshot(directory) == before


def snapshot(directory):
    """Everything in a directory by its path: the content of files, where links lead, and kinds of all else."""
    return {path.relative_to(directory): _content(path) for path in sorted(directory.rglob("*"))}


def _content(path):
    if path.is_symlink():
        return "link", path.readlink()
    return ("file", path.read_bytes()) if path.is_file() else ("other", path.stat().st_mode)


def assert_takes_little(read, most):
    """Reading takes fewer bytes than this at any time; once it may take more, for what is imported and compiled."""
    assert any(_peak(read) < most for _ in range(2))


def _peak(read):
    tracemalloc.start()
    try:
        read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
