"""What a node may do besides computing its outputs."""

from __future__ import annotations

from collections.abc import Iterator

from nas_engine_graph.ir.graph import Block, Node
from nas_engine_graph.ir.operation import Builtin, Call, Operator, Read
from nas_engine_graph.ir.value import Ref

__all__ = ["is_pure", "references", "walk"]

_MUTATING = frozenset(
    {"setitem", "assign", "delitem", "iadd", "isub", "imul", "itruediv", "ifloordiv", "imod",
     "ipow", "imatmul", "iand", "ior", "ixor", "ilshift", "irshift", "print", "warn",
     "method.append", "method.extend", "method.insert", "method.pop", "method.popitem",
     "method.remove", "method.reverse", "method.clear", "method.sort", "method.update",
     "method.setdefault", "method.backward", "method.requires_grad_", "method.detach_",
     "method.random_"}
)  # fmt: skip
_RANDOM = frozenset(
    {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "normal",
     "bernoulli", "multinomial", "poisson", "binomial", "dropout", "alpha_dropout",
     "feature_dropout", "feature_alpha_dropout", "native_dropout", "rrelu", "rrelu_with_noise",
     "scaled_dot_product_attention", "_standard_gamma", "_sample_dirichlet"}
)  # fmt: skip
_USERS = ("call.", "property.", "set_field.")
_STATEFUL = frozenset({"batch_norm", "native_batch_norm", "instance_norm", "embedding_renorm_"})


def is_pure(node: Node) -> bool:
    """Whether leaving the node out changes nothing but its outputs.

    In-place operators end in an underscore, random ones advance the generator, and called modules,
    functions and methods of the user's are not looked into: none of these is pure.
    """
    match node.operation:
        case Operator(target):
            name = target.split(".")[1]
            in_place = (name.endswith("_") and not name.endswith("__")) or name.startswith("__i")
            out = target.endswith((".out", "_out")) or any(n == "out" for n, _ in node.keywords)
            return not (in_place or out or name in _RANDOM or name in _STATEFUL)
        case Builtin(name):
            return name not in _MUTATING and not name.startswith(_USERS)
        case Read():
            return True
        case Call(target):
            return target.startswith("math.")
        case _:
            return False


def walk(block: Block) -> Iterator[Node]:
    """All nodes of a block and of the blocks inside it, in program order."""
    for node in block.nodes:
        yield node
        for inner in node.blocks:
            yield from walk(inner)


def references(block: Block) -> Iterator[str]:
    """The name of a value for every use of it, inside the block or as its result."""
    for node in block.nodes:
        yield from (operand.name for operand in node.operands if isinstance(operand, Ref))
        for inner in node.blocks:
            yield from references(inner)
    yield from (operand.name for operand in block.results if isinstance(operand, Ref))
