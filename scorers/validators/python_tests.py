"""Python code that passes tests."""

from __future__ import annotations

from dataclasses import dataclass

from nbest.orchestrator.errors import InputError
from nbest.orchestrator.types import Candidates, Query, require
from nbest.scorers.sandboxes.python import Limits, passing, require_sandbox
from nbest.scorers.validators.rules import Flags, checked_texts, flags_of

MAX_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PassesTests:
    """The answer is Python code after which the tests run without an exception.

    `tests` is code, such as `assert add(1, 2) == 3`; where it is left out, each query brings its
    own in `meta[key]`. Everything runs in a sandbox (`scorers/sandboxes/python.py`), once for each
    distinct code, with the standard library only. Where none can be made, nothing runs and it is
    an error.

    Code that sets out to fool its tests can do so: it shares their interpreter. It can do no more.

    Example: `FirstValid(rule=PassesTests(tests="assert f(2) == 4"))`, with `CodeBlock` as extractor
    """

    tests: str | None = None
    key: str = "tests"
    timeout_s: float = 5.0
    memory_mb: int = 512

    def __post_init__(self) -> None:
        require(self.timeout_s > 0, "timeout_s", "be above 0", self.timeout_s)
        require(self.memory_mb >= 64, "memory_mb", "be at least 64", self.memory_mb)
        if self.tests is not None:
            try:
                compile(self.tests, "<tests>", "exec")
            except (SyntaxError, ValueError) as error:
                raise InputError(f"tests must be Python ({error}), got {self.tests!r}") from error
        require_sandbox()

    async def __call__(self, query: Query, candidates: Candidates) -> Flags:
        tests = self.tests if self.tests is not None else query.meta.get(self.key)
        if not isinstance(tests, str):
            raise InputError(f"meta[{self.key!r}] must hold the tests as text, got {tests!r}")
        limits = Limits(timeout_s=self.timeout_s, memory_mb=self.memory_mb)
        texts = checked_texts(candidates, "answer")
        codes = {code for code in texts if code is not None and len(code) <= MAX_CHARACTERS}
        verdicts = await passing(sorted(codes), tests, limits)
        return flags_of(texts, dict.fromkeys(filter(None, texts), False) | verdicts)
