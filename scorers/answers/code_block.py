"""The code in a text: what stands in its last fenced block."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbest.scorers.answers.regex import last_match

# A fence opens at the start of a line, with at most three spaces before it, and closes with as many
# backticks or tildes or more (CommonMark 4.5). One that is never closed reaches to the end.
_BLOCK = re.compile(
    r"^ {0,3}(?P<fence>`{3,}|~{3,})[ \t]*(?P<language>[^\s`]*)[^\n]*\n"
    r"(?P<code>.*?)(?:^ {0,3}(?P=fence)[`~]*[ \t]*$|\Z)",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBlock:
    """The code in the last fenced block, or in the last block of `language`.

    A text without any fence is code as a whole, unless `needs_fence` says that it has none. A block
    that names no language counts as one of any.

    Example: `CodeBlock(language="sql")`
    """

    language: str | None = None
    needs_fence: bool = False

    def __call__(self, text: str) -> str | None:
        blocks = [match for match in _BLOCK.finditer(text) if self._is_wanted(match["language"])]
        if blocks:
            return blocks[-1]["code"].strip() or None
        if self.needs_fence or last_match(_BLOCK, text):
            return None
        return text.strip() or None

    def _is_wanted(self, language: str) -> bool:
        return self.language is None or language.casefold() in ("", self.language.casefold())
