"""Which names a piece of Python defines and which it uses."""

from __future__ import annotations

import ast
import builtins
import re

__all__ = ["defined_names", "parses", "used_names"]

_MAGIC = re.compile(r"^\s*[%!?].*$|^.*\?\s*$", re.MULTILINE)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def _tree(code: str) -> ast.Module | None:
    """Parse a cell; lines that only IPython understands are left out."""
    for text in (code, _MAGIC.sub("", code)):
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError):
            continue
    return None


def parses(code: str) -> bool:
    """Return whether a cell is valid Python, apart from lines for IPython."""
    return _tree(code) is not None


def defined_names(code: str) -> set[str]:
    """Return the names that a cell assigns, imports or defines at its top level.

    Examples
    --------
    >>> sorted(defined_names("import os; x = y = 1"))
    ['os', 'x', 'y']
    """
    tree = _tree(code)
    return set() if tree is None else set(_definitions(tree))


def used_names(code: str) -> set[str]:
    """Return the names that a cell reads and that it does not define itself before.

    Examples
    --------
    >>> sorted(used_names("a = b + len(c); d = a"))
    ['b', 'c']
    """
    tree = _tree(code)
    if tree is None:
        return set()
    used: set[str] = set()
    defined: set[str] = set(dir(builtins))
    for statement in tree.body:
        read = {
            node.id
            for node in ast.walk(statement)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
        }
        local = {node.arg for node in ast.walk(statement) if isinstance(node, ast.arg)} | _inside(statement)
        used |= read - defined - local
        defined |= set(_definitions(statement))
    return used


def _inside(statement: ast.AST) -> set[str]:
    """Names assigned in functions and comprehensions of a statement."""
    found: set[str] = set()
    for node in ast.walk(statement):
        if isinstance(node, (*_SCOPES, ast.comprehension)):
            found |= {
                each.id
                for each in ast.walk(node)
                if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)
            }
    return found


def _definitions(node: ast.AST) -> list[str]:
    """Names that a node binds, without those inside functions and classes."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return []
    if isinstance(node, ast.Name):
        return [node.id] if isinstance(node.ctx, ast.Store) else []
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    return [name for child in ast.iter_child_nodes(node) for name in _definitions(child)]
