"""Sources read as the Python interpreter reads them, which TorchScript does not quite do."""

from __future__ import annotations

import ast
import builtins
import copy
import enum
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from nas_core.errors import Place
from torch import nn

from nas_engine_graph.errors import UnsupportedModuleError
from nas_engine_graph.frontend.encode import is_read_plain, is_valued, plain_value
from nas_engine_graph.frontend.names import is_of_torch
from nas_engine_graph.frontend.objects import has_relatives
from nas_engine_graph.frontend.rewriting.declared import declared, is_never_none, nothing
from nas_engine_graph.frontend.rewriting.drawing import draws
from nas_engine_graph.frontend.rewriting.idioms import rewrite_idioms
from nas_engine_graph.frontend.rewriting.jumps import without_jumps
from nas_engine_graph.frontend.rewriting.lasting import keep_writes
from nas_engine_graph.frontend.rewriting.logic import as_branches, distributed, only_bools, valued
from nas_engine_graph.frontend.rewriting.targets import unclear_loops, with_own_targets
from nas_engine_graph.frontend.rewriting.unrolled import classes_of, unroll
from nas_engine_graph.frontend.source.coded import SIGNS, code
from nas_engine_graph.frontend.source.hiding import called, hidden, hide_flags, is_flag
from nas_engine_graph.frontend.source.methods import spreads
from nas_engine_graph.frontend.source.mixed import drawn
from nas_engine_graph.frontend.source.modes import with_modes
from nas_engine_graph.frontend.source.modules import class_of, module_at
from nas_engine_graph.frontend.source.places import written_at
from nas_engine_graph.frontend.source.questions import (
    answered,
    body_of,
    is_unused,
    returns_anything,
)
from nas_engine_graph.frontend.source.rewriter import Rewriter
from nas_engine_graph.frontend.source.signatures import gives_number, taken_for_numbers
from nas_engine_graph.frontend.source.sizes import (
    beside_tuples,
    given_as_tuples,
    only_returns,
    sizes,
)
from nas_engine_graph.frontend.source.sources import nodes_of
from nas_engine_graph.frontend.source.supers import Add, with_super_methods
from nas_engine_graph.frontend.source.variables import Variables, name_of, value_of, variables_of

__all__ = ["eagerly"]

_SIGNS: dict[type[ast.operator], str] = {
    ast.Mod: "%", ast.Pow: "**", ast.FloorDiv: "//", ast.BitOr: "|", ast.BitAnd: "&",
    ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>",
}  # fmt: skip
_COMMENT = re.compile(r"(#\s*type:\s*\(.*\)\s*->).*")
"""The declaration of a function as a comment."""
InPlace: TypeAlias = Callable[[Any], bool]
_LOGGING = frozenset({"_log_api_usage_once"})
_LIMITS = frozenset({"finfo", "iinfo"})


class _Eager(Rewriter):
    """Reads a function as the Python interpreter would: nothing is being scripted.

    Numbers, texts and tuples of them that are global variables become constants, which TorchScript
    would refuse.
    """

    def __init__(
        self, variables: Variables, owner: Any, tree: ast.AST, place: Place, in_place: InPlace
    ) -> None:
        self.variables, self.owner, self.place = variables, owner, place
        self.in_place = in_place
        self.valued = valued(tree) if distributed(tree) else set()
        nodes = nodes_of(tree)
        self.sizes = sizes(nodes, owner) if isinstance(owner, nn.Module) else set()
        self.tuples = beside_tuples(nodes)
        self.not_flags = variables.own - only_bools(nodes)
        self.is_number = gives_number(nodes)
        # Lists can't be written out as arguments.
        self.lists = only_returns(nodes, self.sizes) and not spreads(type(owner))

    def visit_Return(self, node: ast.Return) -> Any:
        """A method marked as unused has the types of scripted code: write its body in place."""
        match node.value:
            case ast.Call(ast.Attribute(ast.Name("self"), name), arguments, []):
                method = getattr(self.owner, name, None)
                named = all(isinstance(a, ast.Name) for a in arguments)
                if is_unused(method) and named:
                    body = body_of(method, arguments, node, self.variables.around)
                    if body is not None and self.in_place(method):
                        return [self.visit(statement) for statement in body]
        is_size = id(node.value) in self.sizes
        self.generic_visit(node)
        if self.is_number and node.value is not None:
            node.value = self.flag(node.value)
        if is_size and node.value is not None and self.lists:
            node.value = self.returned(node.value)
        return node

    def visit_Name(self, node: ast.Name) -> ast.AST:
        value = self.variables.around.get(node.id)
        if isinstance(node.ctx, ast.Load) and _is_plain(value):
            return ast.copy_location(ast.Constant(value=value), node)
        if isinstance(node.ctx, ast.Load) and type(value) is tuple and all(map(_is_plain, value)):
            items = [ast.copy_location(ast.Constant(value=item), node) for item in value]
            return ast.copy_location(ast.Tuple(list(items), ast.Load()), node)
        return _coded(value, node)

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        match node:
            case ast.Attribute(ast.Name(name), attribute) if (
                self.variables.around.get(name) is torch
            ):
                return _coded(getattr(torch, attribute, None), node)
            case ast.Attribute(
                ast.Attribute(ast.Name("self"), "__class__")
                | ast.Call(ast.Name("type"), [ast.Name("self")], []),
                "__name__" | "__qualname__" as name,
            ) if isinstance(self.owner, nn.Module):
                return ast.copy_location(ast.Constant(getattr(class_of(self.owner), name)), node)
        self.generic_visit(node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        value = id(node) in self.valued
        self.generic_visit(node)
        return as_branches(node) if value else node

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if name_of(node.func) in _LIMITS:
            return node  # TorchScript looks the dtype up while it compiles.
        self.generic_visit(node)
        if id(node) in self.tuples:
            return hidden(node.args[0], SIGNS["size"])
        for index in given_as_tuples(node, self.variables.around, self.owner):
            node.args[index] = hidden(node.args[index].args[0], SIGNS["size"])  # type: ignore[attr-defined]
        self.check_kinds(node)
        match node:
            case ast.Call(ast.Attribute(_, "annotate"), [kind, ast.Constant(None)]) if (
                is_never_none(kind, self.variables.around)
            ):
                return nothing(kind)
            case ast.Call(ast.Name(name)) if (
                hasattr(builtins, name) and name not in self.variables.own
            ):
                if self.variables.around.get(name, own := getattr(builtins, name)) is not own:
                    raise self.refusal(
                        f"a call of {name!r}, which TorchScript takes for Python's", node
                    )
                return called(node, name)
            case ast.Call(ast.Attribute(tensor, "type"), [], []) if not self.module(tensor):
                # TorchScript makes a tensor of it.
                text = ast.copy_location(ast.Name("str", ast.Load()), node)
                node.func, node.args = text, [hidden(tensor, SIGNS["type"])]
                return node
        self.hide_bools(node)
        if draws(node, self.variables.around):
            return drawn(node)  # TorchScript drops what is drawn and not used.
        return node

    def check_kinds(self, node: ast.Call) -> None:
        """Refuse questions for classes to which TorchScript has other answers than Python."""
        match node:
            case ast.Call(ast.Name("isinstance"), [_, kinds]):
                text = f"`{written_at(self.place, node)}` of "
                if classes_of(kinds, self.variables.around):
                    raise self.refusal(f"{text}what may be several modules", node)
                if has_relatives(kinds, self.variables.around):
                    text += "a class that inherits, or that others inherit from"
                    raise self.refusal(text, node)

    def hide_bools(self, node: ast.Call) -> None:
        """Hides the bools of which TorchScript makes numbers, among the arguments of a call."""
        hide_flags(node, self.variables, self.owner)
        match node:
            case ast.Call(ast.Attribute(_, "annotate"), [kind, value]) if name_of(kind) != "bool":
                node.args[1] = self.unfolded(value)
        numbers = {id(v) for v in taken_for_numbers(node, self.variables.around, self.owner)}
        node.args = [self.flag(v) if id(v) in numbers else v for v in node.args]
        for word in node.keywords:
            word.value = self.flag(word.value) if id(word.value) in numbers else word.value

    def visit_Subscript(self, node: ast.Subscript) -> ast.AST:
        self.generic_visit(node)
        return self.sized(node)

    def visit_For(self, node: ast.For) -> ast.AST:
        for inner in nodes_of(node.iter):
            match inner:
                case ast.Subscript(value, ast.Slice()) if self.module(value) is not None:
                    text = written_at(self.place, inner)
                    text = f"a loop over `{text}`, whose bounds are not constant"
                    raise self.refusal(text, inner)
        self.generic_visit(node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Call) and name_of(node.value.func) in _LOGGING:
            return ast.copy_location(ast.Pass(), node)
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        node.left, node.right = self.plain(node.left), self.plain(node.right)
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow):
            base, power = self.integer(node.left), self.integer(node.right)
            if base is not None and power is not None and 0 <= power < 64:
                return ast.copy_location(ast.Constant(value=base**power), node)
            node.right = hidden(node.right)
        else:
            node.left, node.right = self.flag(node.left), self.flag(node.right)
        return self.sized(node)

    def sized(self, node: ast.expr) -> ast.expr:
        return hidden(node, SIGNS["size"]) if id(node) in self.sizes else node

    def returned(self, node: ast.expr) -> ast.expr:
        """A size that a method returns, as the list that TorchScript takes other sizes for."""
        one = ast.copy_location(ast.Constant(value=1), node)
        as_list = ast.copy_location(ast.BinOp(node, ast.Mult(), one), node)
        return hidden(as_list, SIGNS["size"])

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        match node:
            case ast.Compare(
                left, [ast.In() | ast.NotIn() as sign], [ast.Tuple() | ast.List() as many]
            ):
                if isinstance(left, ast.Name | ast.Attribute) and any(
                    map(self.is_member, many.elts)
                ):
                    made: ast.AST = self.visit(_one_by_one(left, sign, many.elts))
                    return made
        if any(map(self.is_read_plain, (node.left, *node.comparators))):
            node.left = self.plain(node.left)
            node.comparators = list(map(self.plain, node.comparators))
        self.generic_visit(node)
        match node:
            case ast.Compare(left, [ast.Eq() | ast.NotEq()], [right]):
                # What is constant chooses branches, and stays so.
                fixed = [self.is_flag(n) and not isinstance(n, ast.Name) for n in (left, right)]
                if not all(fixed):
                    node.left, node.comparators[0] = self.flag(left), self.flag(right)
        return node

    def is_member(self, node: ast.expr) -> bool:
        return isinstance(value_of(node, self.variables.around), enum.Enum)

    def is_read_plain(self, node: ast.expr) -> bool:
        """Whether this is a member of an enum that TorchScript takes for a text or number."""
        match node:
            case ast.Attribute(ast.Name("self"), name):
                return is_read_plain(self.owner, name)
        return False

    def plain(self, node: ast.expr) -> ast.expr:
        """The text or number that a member of an enum is, where it is no more than that."""
        value = value_of(node, self.variables.around)
        if not is_valued(value):
            return node
        return ast.copy_location(ast.Constant(value=plain_value(value)), node)

    def is_flag(self, node: ast.expr) -> bool:
        return is_flag(node, self.variables, self.owner)

    def flag(self, node: ast.expr) -> ast.expr:
        return hidden(node) if self.is_flag(node) else node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        self.generic_visit(node)
        for target in node.targets:
            match target, node.value:
                case ast.Tuple(targets), ast.Tuple(items) as values if len(targets) == len(items):
                    given = zip(targets, items, strict=True)
                    values.elts = [self.unfolded(v) if self.may_be(t) else v for t, v in given]
                case _ if self.may_be(target):
                    node.value = self.unfolded(node.value)
        return node

    def may_be(self, target: ast.expr) -> bool:
        """Whether a variable may be something else than a bool."""
        return name_of(target) in self.not_flags

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.target, ast.Attribute) and node.value is not None:
            # Of an attribute it forgets what is declared, for None and what is empty.
            node.value = declared(node.value, node.annotation)
        elif name_of(node.annotation) != "bool" and node.value is not None:
            node.value = self.unfolded(node.value)
        return node

    def unfolded(self, node: ast.expr) -> ast.expr:
        """A bool of which TorchScript would make a number."""
        match node:
            case ast.Constant(bool()):
                return hidden(node)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.MatMult) and isinstance(node.target, ast.Name):
            # Tensors have no operator for it.
            left = ast.copy_location(ast.Name(node.target.id, ast.Load()), node.target)
            product = ast.copy_location(ast.BinOp(left, node.op, node.value), node)
            return ast.copy_location(ast.Assign([node.target], product), node)
        if (sign := _SIGNS.get(type(node.op))) is not None:
            # TorchScript takes another operator, or forgets to assign. Of these two it does not,
            # and they have the types of the numbers.
            node.op = ast.Div() if sign == "**" else ast.Sub()
            node.value = hidden(node.value, SIGNS[sign])
        else:
            node.value = self.flag(node.value)
        return node

    def module(self, node: ast.expr) -> nn.Module | None:
        return module_at(node, self.owner) if isinstance(self.owner, nn.Module) else None

    def refusal(self, construct: str, node: ast.expr) -> UnsupportedModuleError:
        place = Place(self.place.file, self.place.line + node.lineno - 1)
        return UnsupportedModuleError(construct, place=place)

    def integer(self, node: ast.expr) -> int | None:
        """The value of an expression that TorchScript knows to be a constant integer."""
        match node:
            case ast.Constant(value) if type(value) is int:
                return value
            case ast.Name(name):
                return self.variables.integers.get(name)
            case ast.Attribute(ast.Name("self"), name):
                value = getattr(self.owner, name, None)
                constant = name in getattr(self.owner, "__constants__", ())
                return value if type(value) is int and constant else None
        return None


def _is_plain(value: Any) -> bool:
    return type(value) in (bool, int, float, str)


def _coded(value: Any, node: ast.expr) -> ast.expr:
    found = code(value) if isinstance(getattr(node, "ctx", None), ast.Load) else None
    return node if found is None else ast.copy_location(ast.Constant(value=found), node)


def _one_by_one(left: ast.expr, sign: ast.cmpop, items: list[ast.expr]) -> ast.expr:
    """``kind in (Kind.A, Kind.B)`` as comparisons: TorchScript has no such question of enums."""
    is_in = isinstance(sign, ast.In)
    one: ast.cmpop = ast.Eq() if is_in else ast.NotEq()
    found: list[ast.expr] = [
        ast.copy_location(ast.Compare(copy.deepcopy(left), [one], [item]), left) for item in items
    ]
    both: ast.boolop = ast.Or() if is_in else ast.And()
    return found[0] if len(found) == 1 else ast.copy_location(ast.BoolOp(both, found), left)


def eagerly(function: Any, owner: Any, parsed: Any, add: Add, in_place: InPlace) -> Any:
    """What was parsed, rewritten in place.

    Args:
        function: what was parsed.
        owner: the module of which it is a method, if it is one.
        parsed: its source.
        add: takes the methods of base classes that it calls.
        in_place: whether the body of a marked method is written where it is returned.
    """
    if is_of_torch(function):
        return parsed
    definition = parsed.ast.body[0]
    # TorchScript can read arguments that are only taken by keyword, and their defaults.
    definition.args.kw_defaults = [None] * len(definition.args.kwonlyargs)
    place = Place(parsed.filename or "", parsed.file_lineno)
    rewrite_idioms(definition, function, owner, add)
    variables = variables_of(function, parsed.ast)
    if answered(parsed.ast, variables.around):
        variables = variables_of(function, parsed.ast)
    with_modes(parsed.ast, variables.around)
    if isinstance(owner, nn.Module):
        with_super_methods(parsed.ast, function, owner, variables.around, add)
        with_own_targets(parsed.ast, owner)
        without_jumps(parsed.ast, owner)
        unroll(parsed.ast, owner, variables.around)
    anything = returns_anything(function, definition)
    reading = _Eager(variables, owner, parsed.ast, place, in_place)
    if isinstance(owner, nn.Module):
        for loop in unclear_loops(parsed.ast, owner):
            text = "a loop with the variable of a loop over modules, which is read afterwards"
            raise reading.refusal(text, loop.iter)
    reading.visit(parsed.ast)
    keep_writes(parsed.ast, variables.own)
    if anything:
        definition.returns = ast.copy_location(ast.Name("Any", ast.Load()), definition.args)
        ast.fix_missing_locations(definition)
        parsed = parsed._replace(source=_COMMENT.sub(r"\1 Any", parsed.source))
    return parsed
