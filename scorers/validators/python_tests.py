"""Python code that passes tests."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from string import Formatter

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.requirements import require
from nbest.orchestrator.types import Candidates, Query
from nbest.scorers.sandboxes.python import Limits, passing, require_sandbox
from nbest.scorers.validators.rules import Flags, checked_texts, flags_of

MAX_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PassesTests:
    """The answer is Python code after which the tests run without an exception.

    `tests` is code, such as `assert add(1, 2) == 3`; where it is left out, each query brings its
    own in `meta[key]`, as text or as a list of texts. With `template` the tests are put together
    from several columns of `meta`, named in braces. `before` is such a template of what comes
    before the answer: a prompt that the answer completes, or goes on from.

    Everything runs in a sandbox (`scorers/sandboxes/python.py`), once for each
    distinct code, with the standard library only. Where none can be made, nothing runs and it is
    an error.

    Code that sets out to fool its tests can do so: it shares their interpreter. It can do no more.

    Example: `FirstValid(rule=PassesTests(tests="assert f(2) == 4"))`, with `CodeBlock` as
    extractor; for HumanEval `before="{prompt}"` and `template="{test}\\ncheck({entry_point})"`
    """

    tests: str | None = None
    key: str = "tests"
    template: str | None = None
    before: str | None = None
    timeout_s: float = 5.0
    memory_mb: int = 512

    def __post_init__(self) -> None:
        require(self.timeout_s > 0, "timeout_s", "be above 0", self.timeout_s)
        require(self.memory_mb >= 64, "memory_mb", "be at least 64", self.memory_mb)
        is_one = self.tests is None or self.template is None
        require(is_one, "template", "be left out where tests are given", self.template)
        for name in ("template", "before"):
            require_template(name, getattr(self, name))
        if self.tests is not None:
            try:
                compile(self.tests, "<tests>", "exec")
            except (SyntaxError, ValueError) as error:
                raise InputError(f"tests must be Python ({error}), got {self.tests!r}") from error
        require_sandbox()

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        tests = self._tests_for(query)
        before = None if self.before is None else filled_from(query, self.before)
        limits = Limits(timeout_s=self.timeout_s, memory_mb=self.memory_mb)
        texts = checked_texts(candidates, "answer")
        codes = {code for code in texts if code is not None and len(code) <= MAX_CHARACTERS}
        programs = {code: program_of(code, before) for code in sorted(codes)}
        passed = await passing(sorted(set(programs.values())), tests, limits)
        verdicts = {code: passed[program] for code, program in programs.items()}
        return flags_of(texts, dict.fromkeys(filter(None, texts), False) | verdicts)

    def _tests_for(self, query: Query) -> str:
        if self.template is not None:
            return filled_from(query, self.template)
        tests = self.tests if self.tests is not None else query.meta.get(self.key)
        if isinstance(tests, list | tuple) and all(isinstance(test, str) for test in tests):
            return "\n".join(tests)
        if not isinstance(tests, str):
            raise InputError(f"meta[{self.key!r}] must hold the tests as text, got {tests!r}")
        return tests


def require_template(name: str, template: str | None) -> None:
    """Raise InputError unless this is text with plain names in braces."""
    try:
        parts = list(Formatter().parse(template or ""))
    except ValueError as error:
        raise InputError(f"{name} must have names in braces ({error}), got {template!r}") from error
    for _, column, spec, conversion in parts:
        is_plain = column is None or (column.isidentifier() and not spec and not conversion)
        require(is_plain, name, "have plain names in braces, as {test}", template)


def filled_from(query: Query, template: str) -> str:
    """The template with the texts of `meta` for its names; of a list, a line each."""
    pieces = []
    for text, column, _, _ in Formatter().parse(template):
        value = query.meta.get(column or "", "")
        if isinstance(value, list | tuple):
            value = "\n".join(map(str, value))
        elif column is not None and not isinstance(value, str):
            value = str(value)
        if column is not None and column not in query.meta:
            raise InputError(f"meta[{column!r}] must be there (dataset.meta keeps columns)")
        pieces.append(text + (value if column is not None else ""))
    return "".join(pieces)


def program_of(code: str, before: str | None) -> str:
    """The program that an answer is, after what comes before it.

    An answer is the whole function, or its body; of a body the indentation of all lines, or of the
    first one alone, may be lost on the way. Of these readings the first that is a program counts.
    """
    if before is None:
        return code
    head, lines = before.rstrip(), code.split("\n")
    rest = [len(line) - len(line.lstrip()) for line in lines[1:] if line.strip()]
    least = min(rest, default=4) or 4
    whole = f"{before}\n{code}"
    body = head + "\n" + "\n".join(f"    {line}" for line in lines)
    first_line_lost = f"{head}\n{' ' * least}{code}"
    defines = re.search(r"^(?:def|class|async def|import|from) ", code, re.MULTILINE)
    is_open = head.endswith(('"""', "'''", ":"))
    readings = [whole, first_line_lost, body]
    if is_open and not defines:
        readings = [body, first_line_lost, whole]
    return next((program for program in readings if _compiles(program)), whole)


def _compiles(program: str) -> bool:
    """Whether it is a program: `ast.parse` would let a `return` stand outside of a function."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what a model writes is none of our warnings
            compile(program, "<answer>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return False
    return True
