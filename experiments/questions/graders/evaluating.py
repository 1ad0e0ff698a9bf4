"""Says whether a grader runs text as code, by reading its source.

Some graders of reasoning-gym hand the answer of the model, or a text of the gold file, to Python's
`eval`, or to sympy's `parse_expr`, which does so in turn. A list of their names would be short of
one with every new version of the package.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from types import FunctionType, ModuleType

# What runs a text, or may: sympy's functions read every text that they get by `parse_expr`.
EVALUATORS = frozenset(
    {
        "__import__",
        "compile",
        "eval",
        "exec",
        "exec_module",
        "import_module",
        "lambdify",
        "loads",  # of pickle; those of json are told apart by their module
        "parse_expr",
        "parse_latex",
        "Popen",
        "run_path",
        "S",
        "simplify",
        "sympify",
        "system",
    }
)
_HARMLESS = frozenset({"json.loads", "re.compile"})


def evaluates(grader: Callable[..., object], owner: type) -> bool:
    """Whether a method of a class, or what it calls in its package, may run a text as code.

    It may where the source cannot be read, or where it passes on to the grader of another task.
    """
    return _Reader(owner, grader.__module__.partition(".")[0]).finds(grader)


class _Reader:
    """Reads a function and what it calls, each once."""

    def __init__(self, owner: type, package: str) -> None:
        self._owner = owner
        self._package = package
        self._read: set[object] = set()

    def finds(self, part: object) -> bool:
        """Whether a call of an evaluator stands in a function or class, or in what it calls."""
        if part in self._read:
            return False
        self._read.add(part)
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(part)))  # type: ignore[arg-type] # it is a function or a class
        except (OSError, TypeError, SyntaxError):
            return True
        module = inspect.getmodule(part)
        calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
        return any(self._runs_text(called) for called in calls) or any(
            self.finds(other) for called in calls for other in self._parts(called, module)
        )

    def _runs_text(self, called: ast.expr) -> bool:
        spelled = ast.unparse(called)
        name = spelled.rpartition(".")[2]
        passes_on = name == "score_answer" and not spelled.startswith("super()")
        return passes_on or (name in EVALUATORS and spelled not in _HARMLESS)

    def _parts(self, called: ast.expr, module: ModuleType | None) -> Iterator[object]:
        """The functions and classes of the package that a call may mean."""
        for found in self._named(called, module):
            if isinstance(found, (FunctionType, type)) and self._is_ours(found):
                yield found

    def _named(self, called: ast.expr, module: ModuleType | None) -> list[object]:
        if isinstance(called, ast.Name):
            return [getattr(module, called.id, None)]
        if not isinstance(called, ast.Attribute):
            return []
        if isinstance(called.value, ast.Name) and called.value.id not in ("self", "cls"):
            return [getattr(getattr(module, called.value.id, None), called.attr, None)]
        # Of the grader, or of a class that it inherits from.
        return [vars(one)[called.attr] for one in self._owner.__mro__ if called.attr in vars(one)]

    def _is_ours(self, found: FunctionType | type) -> bool:
        return found.__module__.partition(".")[0] == self._package
