"""What the site shows of the sources beside what griffe reads in them.

Docstrings become Markdown: examples code blocks, ``::`` a colon. Structs of msgspec are given the
constructor that they have when they run, so that their defaults are seen.
"""

import re

import griffe

EXAMPLE = re.compile(r"^( *)>>> .*(?:\n(?! *$).*)*", re.MULTILINE)


class AsMarkdown(griffe.Extension):
    """Rewrites every docstring before it is parsed."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring:
            obj.docstring.value = as_markdown(obj.docstring.value)


class WithStructs(griffe.Extension):
    """Writes the constructors of structs down, as griffe itself does those of dataclasses."""

    def on_class(self, *, cls: griffe.Class, **_: object) -> None:
        """Give a struct an ``__init__`` of its fields."""
        if any(getattr(base, "canonical_path", "") == "msgspec.Struct" for base in cls.bases):
            init = griffe.Function("__init__", parent=cls, parameters=constructor_of(cls))
            cls.set_member("__init__", init)


def constructor_of(struct: griffe.Class) -> griffe.Parameters:
    """Give the parameters by which the fields of a struct are set."""
    kinds = griffe.ParameterKind
    kind = kinds.keyword_only if "kw_only" in struct.keywords else kinds.positional_or_keyword
    return griffe.Parameters(
        *(
            griffe.Parameter(name, annotation=field.annotation, kind=kind, default=field.value)
            for name, field in struct.attributes.items()
            if "property" not in field.labels
        )
    )


def as_markdown(text: str) -> str:
    r"""Fence the examples of a docstring, and end what introduces a literal block with a colon.

    >>> as_markdown(">>> 1 + 1\n2\n\nSo::") == "```pycon\n>>> 1 + 1\n2\n```\n\nSo:"
    True
    """
    fenced = EXAMPLE.sub(lambda found: f"{found[1]}```pycon\n{found[0]}\n{found[1]}```", text)
    return re.sub(r"::$", ":", fenced, flags=re.MULTILINE)
