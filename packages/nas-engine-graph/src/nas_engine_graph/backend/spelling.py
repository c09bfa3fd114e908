"""How Python spells an operator: the public name of torch where it is the same function."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

from nas_engine_graph.backend.literal import Imports
from nas_engine_graph.errors import InvalidGraphError

__all__ = ["AUGMENTED", "BUILTINS", "INFIX", "OPERATORS", "operator"]

# Operators of tensors that Python has a sign for; the eager module used the same sign.
_SIGNS = {
    "add.Tensor": "+", "add.Scalar": "+", "sub.Tensor": "-", "sub.Scalar": "-", "mul.Tensor": "*",
    "mul.Scalar": "*", "div.Tensor": "/", "div.Scalar": "/", "matmul.default": "@",
    "gt.Scalar": ">", "gt.Tensor": ">", "lt.Scalar": "<", "lt.Tensor": "<", "ge.Scalar": ">=",
    "ge.Tensor": ">=", "le.Scalar": "<=", "le.Tensor": "<=", "eq.Scalar": "==", "eq.Tensor": "==",
    "ne.Scalar": "!=", "ne.Tensor": "!=", "pow.Tensor_Scalar": "**", "pow.Tensor_Tensor": "**",
    "__lshift__.Scalar": "<<", "__lshift__.Tensor": "<<", "__rshift__.Scalar": ">>",
    "__rshift__.Tensor": ">>",
    "__and__.Tensor": "&", "__or__.Tensor": "|", "__xor__.Tensor": "^", "__and__.Scalar": "&",
    "__or__.Scalar": "|", "__xor__.Scalar": "^", "pow.Scalar": "**", "floor_divide.default": "//",
    "floor_divide.Scalar": "//", "remainder.Scalar": "%", "remainder.Tensor": "%",
    "rsub.Scalar": "-",
}  # fmt: skip
INFIX = {
    "add": "+", "sub": "-", "mul": "*", "truediv": "/", "floordiv": "//", "mod": "%", "pow": "**",
    "eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">=", "and": "&", "or": "|",
    "xor": "^", "lshift": "<<", "rshift": ">>", "is": "is", "is_not": "is not", "percent": "%",
}  # fmt: skip
AUGMENTED = {
    "iadd": "+=", "isub": "-=", "imul": "*=", "itruediv": "/=", "ifloordiv": "//=", "imod": "%=",
    "ipow": "**=", "imatmul": "@=", "iand": "&=", "ior": "|=", "ixor": "^=", "ilshift": "<<=",
    "irshift": ">>=",
}  # fmt: skip
"""What sets the variable to its left anew where that is no list."""
BUILTINS = {
    "getitem": "{0}[{1}]", "setitem": "{0}[{1}] = {2}", "delitem": "del {0}[{1}]",
    "item": "{0}[{1}]",
    "contains": "{1} in {0}", "neg": "-{0}", "not": "not {0}", "list_of": "list({0})",
    "dict_of": "dict({0})", "range_length": "len(range({0}, {1}, {2}))",
    "derive_index": "{1} + {0} * {2}", "truncdiv": "int({0} / {1})", "unpack": "{0}",
    "rangelist": "list(range({0}))", "typed": "{0}", "finfo.max": "torch.finfo({0}).max",
    "finfo.min": "torch.finfo({0}).min", "finfo.eps": "torch.finfo({0}).eps",
    "finfo.tiny": "torch.finfo({0}).tiny", "iinfo.max": "torch.iinfo({0}).max",
    "iinfo.min": "torch.iinfo({0}).min",
}  # fmt: skip
OPERATORS = {
    f"__{name}__": f"{{0}} {sign} {{1}}"
    for name, sign in (
        *((name, INFIX[name]) for name in ("add", "sub", "mul", "truediv", "floordiv", "mod",
                                           "pow", "eq", "ne", "lt", "le", "gt", "ge", "and",
                                           "or", "xor", "lshift", "rshift")),
        ("matmul", "@"),
    )
}  # fmt: skip
OPERATORS |= {
    "__neg__": "-{0}", "__len__": "len({0})", "__getitem__": "{0}[{1}]",
    "__setitem__": "{0}[{1}] = {2}", "__delitem__": "del {0}[{1}]", "__contains__": "{1} in {0}",
    "__str__": "str({0})", "__bool__": "bool({0})", "__int__": "int({0})",
    "__float__": "float({0})", "__hash__": "hash({0})",
}  # fmt: skip
"""How methods of the user's classes are called that Python has a sign for."""
_METHOD_ONLY = frozenset(
    {"to", "view", "expand", "expand_as", "contiguous", "size", "dim", "item", "type_as", "repeat",
     "split", "norm", "view_as", "new_zeros", "new_ones", "new_full", "new_empty", "masked_fill",
     "is_contiguous", "stride", "cpu", "cuda", "numel", "reshape_as", "unfold", "copy_", "detach"}
)  # fmt: skip

_SHIFTS = frozenset({"__ilshift__", "__irshift__"})
_PYTHON = frozenset({"einsum", "meshgrid", "atleast_1d", "atleast_2d", "atleast_3d"})
_SPARSE = {
    function.__name__: name
    for name, function in vars(torch.sparse).items()
    if type(function).__name__ == "builtin_function_or_method"
}
_STARRED = frozenset({"broadcast_tensors", "block_diag", "cartesian_prod", "chain_matmul"})


@cache
def _home(target: str) -> str:
    """Where Python has the operator: a sign, ``torch``, ``F``, a method, or ``torch.ops``."""
    namespace, name, overload = target.split(".")
    if namespace != "aten":
        return "ops"
    if f"{name}.{overload}" in _SIGNS:
        return "sign"
    if target == "aten.neg.default":
        return "negative"
    for group in ("linalg", "fft", "special"):
        if name.startswith(f"{group}_") and hasattr(getattr(torch, group), name[len(group) + 1 :]):
            return group
    if name in _SPARSE:
        return "sparse"
    packet = getattr(torch.ops.aten, name, None)
    if hasattr(packet, overload) and "Tensor?[]" in str(getattr(packet, overload)._schema):
        return "ops"  # Methods of tensors take no None among the tensors.
    if name.startswith("_"):
        return "method" if name in _SHIFTS else "ops"
    if name in _STARRED:
        return "starred"
    if name in _PYTHON:
        return "torch"
    if name in _METHOD_ONLY or (name.endswith("_") and hasattr(torch.Tensor, name)):
        return "method"
    if hasattr(torch._C._VariableFunctions, name) and getattr(torch, name, None) is getattr(
        torch._C._VariableFunctions, name
    ):
        return "torch"
    if type(getattr(torch.nn.functional, name, None)).__name__ == "builtin_function_or_method":
        return "F"
    if type(getattr(torch.Tensor, name, None)).__name__ == "method_descriptor":
        return "method"
    return "ops"


def operator(
    target: str,
    positional: Sequence[str],
    keywords: Sequence[tuple[str, str]],
    imports: Imports,
) -> tuple[str, bool]:
    """The expression, and whether it can stand as an operand without parentheses."""
    namespace, name, overload = target.split(".")
    home = _home(target)
    if home == "sign" and len(positional) == 2 and not keywords:
        positional = positional[::-1] if name == "rsub" else positional
        return f"{positional[0]} {_SIGNS[f'{name}.{overload}']} {positional[1]}", False
    if home == "sign":
        home = "torch" if hasattr(torch, name) else "ops"
    if home == "negative":
        return f"-{positional[0]}", False
    words = [f"{key}={value}" for key, value in keywords]
    if home == "method" and positional:
        return f"{positional[0]}.{name}({', '.join([*positional[1:], *words])})", True
    items = ", ".join([*positional, *words])
    if home == "starred":
        # Python takes the tensors one by one.
        (tensors,) = positional
        return f"torch.{name}({tensors[1:-1] if tensors.startswith('[') else f'*{tensors}'})", True
    if home == "torch":
        return f"torch.{name}({items})", True
    if home in ("linalg", "fft", "special"):
        return f"torch.{home}.{name.removeprefix(f'{home}_')}({items})", True
    if home == "sparse":
        return f"torch.sparse.{_SPARSE[name]}({items})", True
    if home == "F":
        return f"{imports.symbol(f'torch.nn.functional.{name}')}({items})", True
    if namespace not in ("aten", "prim", "prims"):
        imports.modules.add(namespace)
    if target == "aten.slice.Tensor" and (sliced := _sliced(positional, keywords)) is not None:
        return sliced, True
    suffix = "" if _is_only(target) else f".{overload}"
    return f"torch.ops.{namespace}.{name}{suffix}({items})", True


@cache
def _is_only(target: str) -> bool:
    """Whether the other overloads take ``out`` or names: none can be mistaken for it.

    Raises:
        InvalidGraphError: there is no such operator.
    """
    namespace, name, overload = target.split(".")
    packet: Any = getattr(getattr(torch.ops, namespace), name, None)
    if not hasattr(packet, overload):
        text = f"torch has no operator {target!r}: the name is as that of 'aten.exp.default'"
        raise InvalidGraphError((text,))
    names = [
        n
        for n in packet.overloads()
        if not _is_variant(n)
        and torch._C._dispatch_has_kernel(f"{namespace}::{name}{'' if n == 'default' else f'.{n}'}")
    ]
    return names == [overload]


def _is_variant(overload: str) -> bool:
    return overload.lower().endswith(("out", "dimname", "hacked_twin", "str")) or "name" in overload


def _sliced(positional: Sequence[str], keywords: Sequence[tuple[str, str]]) -> str | None:
    """A slice in brackets, which give the tensor itself where all of it is taken."""
    given = dict(zip(("self", "dim", "start", "end", "step"), positional, strict=False))
    given.update(keywords)
    start, end, step = (given.get(name, "") for name in ("start", "end", "step"))
    start, end = ("" if bound in ("None", str(2**63 - 1)) else bound for bound in (start, end))
    taken = f"{start}:{end}{f':{step}' if step else ''}"
    try:
        dim = int(given.get("dim", "0").strip("()"))
    except ValueError:
        return None
    places = [":"] * dim + [taken] if dim >= 0 else ["...", taken] + [":"] * (-1 - dim)
    return f"{given['self']}[{', '.join(places)}]"
