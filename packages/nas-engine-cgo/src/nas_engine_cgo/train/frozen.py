"""What nothing changes: frozen parameters, and buffers that no call writes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from ctypes import string_at
from hashlib import sha256

from torch import Tensor, nn

from nas_engine_cgo.members import Program

__all__ = ["content_of", "left_by", "written_by"]

_HELD = ("parameter", "buffer")


def left_by(program: Program) -> frozenset[str]:
    """The parameters and buffers that a member reads, does not train and does not write."""
    read = {str(s.path) for s in program.sources.values() if s.kind in _HELD and not s.trained}
    return frozenset(read - written_by(program))


def written_by(program: Program) -> frozenset[str]:
    """The parameters and buffers that calls of a member write."""
    written = {number for call in program.calls for number in call.writes}
    sources = program.sources.items()
    return frozenset(str(s.path) for n, s in sources if s.kind in _HELD and n in written)


def content_of(
    modules: Sequence[nn.Module],
    programs: Sequence[Program],
    frozen: Sequence[frozenset[str]],
    known: dict[int, Hashable],
) -> Mapping[tuple[int, int], Hashable]:
    """(member, source) → what is equal for frozen tensors with equal contents.

    Args:
        modules: the members'.
        programs: of what is asked.
        frozen: for each member the tensors that training does not change.
        known: the digests of tensors by identity, which is filled.
    """
    found: dict[tuple[int, int], Hashable] = {}
    for member, (module, program, paths) in enumerate(zip(modules, programs, frozen, strict=True)):
        for number, source in program.sources.items():
            if source.kind in _HELD and source.path in paths:
                tensor = _at(module, str(source.path))
                if id(tensor) not in known:
                    known[id(tensor)] = _digest(tensor)
                found[member, number] = known[id(tensor)]
    return found


def _at(module: nn.Module, path: str) -> Tensor:
    owner, _, name = path.rpartition(".")
    tensor: Tensor = getattr(module.get_submodule(owner), name)
    return tensor


def _digest(tensor: Tensor) -> Hashable:
    content = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    held = string_at(content.data_ptr(), content.nbytes)
    return "frozen", tuple(tensor.shape), tensor.dtype, sha256(held).hexdigest()
