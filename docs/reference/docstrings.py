"""Docstrings as Markdown, for the site: examples become code blocks, ``::`` a colon."""

import re

import griffe

EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


class AsMarkdown(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


def as_markdown(text: str) -> str:
    r"""Fence the examples of a docstring, and end what introduces a literal block with a colon.

    >>> as_markdown(">>> 1 + 1\n2\n\nSo::") == "```pycon\n>>> 1 + 1\n2\n```\n\nSo:"
    True
    """
    fenced = EXAMPLE.sub(lambda found: f"{found[1]}```pycon\n{found[0]}\n{found[1]}```", text)
    return re.sub(r"::$", ":", fenced, flags=re.MULTILINE)
