"""Functions with names of Python's, as libraries have them."""


def sum(x):  # noqa: A001 - That is what it is for.
    return x.cumsum(0)
