"""Tables in Markdown."""


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table.

    >>> print(markdown(["K", "2"], [["greedy", "97.0"]]))
    | K | 2 |
    |---|---|
    | greedy | 97.0 |
    """
    lines = [head, *rows]
    text = ["| " + " | ".join(cells) + " |" for cells in lines]
    return "\n".join([text[0], "|" + "---|" * len(head), *text[1:]])
