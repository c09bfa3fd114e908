"""Law 3 as a function: does a converted module do what the module does?"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._C._autograd import CreationMeta
from torch._C._autograd import _get_creation_meta as way_of_making

from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.objects import fields_of, is_object
from nas_engine_graph.ir import Graph

__all__ = ["assert_round_trip", "assert_same_behaviour"]


_FUTURE: Any = torch.futures.Future.__base__
"""What is forked is of the class that futures of torch inherit from."""


def _tensors(value: Any) -> Iterator[Tensor]:
    match value:
        case Tensor():
            yield value
        case dict():
            for item in value.values():
                yield from _tensors(item)
        case list() | tuple():
            for item in value:
                yield from _tensors(item)
        case _ if isinstance(value, _FUTURE):
            yield from _tensors(value.wait())
        case _ if is_object(value):
            yield from _tensors(fields_of(value))


def _assert_equal(a: Any, b: Any, where: str) -> None:
    """Equal to the bit, in value and in type."""
    assert type(a) is type(b), f"{where}: {type(a).__name__} became {type(b).__name__}"
    match a:
        case Tensor():
            _assert_tensors_equal(a, b, where)
        case dict():
            assert list(a) == list(b), f"{where}: keys {list(a)} became {list(b)}"
            for key in a:
                _assert_equal(a[key], b[key], f"{where}[{key!r}]")
        case list() | tuple():
            assert len(a) == len(b), f"{where}: {len(a)} items became {len(b)}"
            for index, (x, y) in enumerate(zip(a, b, strict=True)):
                _assert_equal(x, y, f"{where}[{index}]")
        case _ if isinstance(a, _FUTURE):
            _assert_equal(a.wait(), b.wait(), where)
        case _ if is_object(a):
            _assert_equal(fields_of(a), fields_of(b), where)
        case _:
            assert a == b or (a != a and b != b), f"{where}: {a!r} became {b!r}"


def _assert_tensors_equal(a: Tensor, b: Tensor, where: str) -> None:
    if a.layout == b.layout is not torch.strided:
        a, b = a.to_dense(), b.to_dense()
    if a.is_quantized and b.is_quantized:
        assert str(a).partition("dtype")[2] == str(b).partition("dtype")[2], f"{where}: the scale"
        a, b = a.int_repr(), b.int_repr()
    facts = [(t.dtype, tuple(t.shape), t.requires_grad, t.device) for t in (a, b)]
    assert facts[0] == facts[1], f"{where}: {facts[0]} became {facts[1]}"
    assert a.stride() == b.stride(), f"{where}: strides {a.stride()} became {b.stride()}"
    same = torch.equal(torch.nan_to_num(a), torch.nan_to_num(b)) if a.numel() else True
    assert same, f"{where}: values differ by {(a.double() - b.double()).abs().max().item()}"


def _held(module: nn.Module, names: Sequence[tuple[str, str]]) -> list[Tensor]:
    """The tensors in attributes, each once."""
    found = (vars(module.get_submodule(path)).get(name) for path, name in names)
    return list({id(tensor): tensor for value in found for tensor in _tensors(value)}.values())


def _is_taken_apart(module: nn.Module, names: Sequence[tuple[str, str]]) -> bool:
    """Whether it keeps views of `unbind` or the like, which torch lets nobody use after a write."""
    held = (tensor for tensor in (*module.buffers(), *_held(module, names)) if tensor.requires_grad)
    views = (tensor for tensor in held if tensor._base is not None)  # noqa: SLF001  No public way.
    return any(way_of_making(view) == CreationMeta.MULTI_OUTPUT_NODE for view in views)


def _run(
    module: nn.Module,
    inputs: Sequence[Any],
    keywords: dict[str, Any],
    attributes: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    inputs, keywords = copy.deepcopy((inputs, keywords))
    leaves = [t for t in _tensors([inputs, keywords]) if t.is_floating_point()]
    given = [t.requires_grad for t in leaves]
    torch.manual_seed(7)
    found: dict[str, Any] = {}
    try:
        output = module(*inputs, **keywords)
    except Exception as error:
        # Anything may be raised here: the twin has to raise the same.
        found["error"] = (type(error), str(error).splitlines()[:1])
    else:
        found["output"] = output
        found["random"] = torch.get_rng_state()
        wanted = [t for t in _tensors(output) if t.requires_grad and t.is_floating_point()]
        module.zero_grad()
        try:
            if wanted:
                torch.autograd.backward([t.sin().sum() for t in wanted])
        except RuntimeError as error:
            # In-place writes may forbid it: then for both.
            found["backward error"] = str(error)[:60]
    found["inputs"] = [inputs, keywords]
    found["gradients"] = [t.grad for t, needed in zip(leaves, given, strict=True) if needed]
    found["parameter gradients"] = {n: p.grad for n, p in module.named_parameters()}
    found["state"] = dict(module.state_dict())
    found["buffers"] = dict(module.named_buffers())
    found["attributes"] = held = _held(module, attributes)
    others = [*found["buffers"].values(), *held]
    found["other gradients"] = [t.grad if t.is_leaf else None for t in others]
    return found


def assert_same_behaviour(
    module: nn.Module,
    twin: nn.Module,
    *inputs: Any,
    modes: Sequence[bool] = (True, False),
    **keywords: Any,
) -> None:
    """Outputs, gradients, state, random state and effects on inputs are equal, in both modes."""
    ours, theirs = module.state_dict(), twin.state_dict()
    assert list(ours) == list(theirs), f"state: {list(ours)} became {list(theirs)}"
    assert [n for n, _ in module.named_parameters()] == [n for n, _ in twin.named_parameters()]
    # Of the attributes only those are kept that methods use.
    plain = vars(nn.Module()).keys()
    inside = [(path, inner) for path, inner in twin.named_modules() if not is_of_torch(type(inner))]
    attributes = [(path, name) for path, inner in inside for name in vars(inner).keys() - plain]
    # Both: where weights are written, autograd records views of them anew, as what comes last.
    for made in (twin,) if _is_taken_apart(module, attributes) else (module, twin):
        made.load_state_dict(ours, strict=True)
    flags = [(n, p.requires_grad) for n, p in module.named_parameters()]
    assert flags == [(n, p.requires_grad) for n, p in twin.named_parameters()]
    for mode in modes:
        module.train(mode)
        twin.train(mode)
        first, second = (_run(m, inputs, keywords, attributes) for m in (module, twin))
        for name in ["error", *first, *second]:
            _assert_equal(
                first.get(name), second.get(name), f"{name} ({'train' if mode else 'eval'})"
            )


def _facts(module: nn.Module) -> list[Any]:
    """What a new module has beside its tensors."""
    tensors = (*module.named_parameters(), *module.named_buffers())
    modes = [(name, inner.training) for name, inner in module.named_modules()]
    versions = vars(module.state_dict())["_metadata"]
    return [modes, versions, [(name, vars(tensor)) for name, tensor in tensors]]


def assert_round_trip(make: Callable[[], nn.Module], *inputs: Any, **keywords: Any) -> Graph:
    """Convert, write, run and compare; what was written gives an equal graph when converted again.

    Args:
        make: makes the module.
        inputs: what to call it with.
        keywords: more of what to call it with.
    """
    from nas_engine_graph.frontend import convert
    from nas_engine_graph.ir.parser import parse
    from nas_engine_graph.ir.printer import to_text
    from nas_engine_graph.ir.verify import verify

    torch.manual_seed(0)
    module = make()
    graph = verify(convert(module))
    assert parse(to_text(graph)) == graph, "the text form does not parse back"
    compile(graph.to_source(), "<source>", "exec")
    twin = graph.instantiate()
    assert _facts(module) == _facts(twin), "modes, versions, or attributes of tensors"
    again = convert(twin)
    assert_same_behaviour(module, twin, *inputs, **keywords)
    assert again == graph, "converting the result gives another graph"
    return graph
