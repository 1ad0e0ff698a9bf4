"""The code in a text: what stands in its last fenced block."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nbest.scorers.answers.extract import visible

# A fence opens at the start of a line and closes with as many backticks or tildes or more
# (CommonMark 4.5), indented at most as far as the items of a list are. One that is never closed
# reaches to the end.
_FENCE = re.compile(
    r"^[ \t]{0,12}(?:[-*+] |[0-9]{1,3}[.)] )?(?P<fence>`{3,}|~{3,})"
    r"[ \t]*(?P<language>[^\n`<]*?)[ \t]*(?:<[^\n`>]*>)?[ \t]*$",  # a special token may follow
    re.MULTILINE,
)
_LANGUAGE = re.compile(r"\{?\.?(?P<name>[^\s{}.:,]+)")

_ALIASES = (
    ("python", "py", "python3", "python2", "py3", "ipython", "ipython3", "pycon"),
    ("sql", "sqlite", "sqlite3", "duckdb", "mysql", "mariadb", "tsql", "t-sql", "ansi-sql"),
    ("sql", "postgresql", "postgres", "psql", "pgsql", "plsql"),
    ("javascript", "js", "node", "mjs"),
    ("typescript", "ts"),
    ("bash", "sh", "shell", "zsh", "console"),
    ("json", "json5", "jsonc"),
    ("yaml", "yml"),
    ("cpp", "c++", "cxx", "cc"),
    ("csharp", "c#", "cs"),
    ("rust", "rs"),
    ("go", "golang"),
    ("markdown", "md"),
)
MARKDOWN = "markdown"
_FAMILY = {name: names[0] for names in _ALIASES for name in names}


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `language` is None where the text began inside of it."""

    code: str
    language: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeBlock:
    """The code in the last fenced block, or in the last block of `language`.

    Other names of a language count as it: `py` and `python3` for `python`. A block that names no
    language counts where none names the wanted one. A text may begin inside of a block that the
    prompt has opened; a text without any fence is code as a whole, unless `needs_fence` says that
    it has none.

    Example: `CodeBlock(language="sql")`
    """

    language: str | None = None
    needs_fence: bool = False
    reads_reasoning: bool = False

    def __call__(self, text: str) -> str | None:
        said = visible(text, self.reads_reasoning).replace("\r\n", "\n")
        blocks = blocks_of(said)
        if blocks:
            chosen = self._wanted(blocks)
            return None if chosen is None else _outdented(chosen.code) or None
        has_fence = _FENCE.search(said) is not None  # around nothing
        return None if self.needs_fence or has_fence else said.strip() or None

    def _wanted(self, blocks: list[Block]) -> Block | None:
        if self.language is None:
            return blocks[-1]
        wanted = family_of(self.language)
        if wanted != MARKDOWN:
            blocks = [inner for block in blocks for inner in _within(block)]
        named = [b for b in blocks if b.language and family_of(b.language) == wanted]
        opened_before = [b for b in blocks if b.language is None]
        unnamed = [b for b in blocks if b.language == ""]
        return next((group[-1] for group in (named, opened_before, unnamed) if group), None)


def _within(block: Block) -> list[Block]:
    """The blocks within a block of Markdown, which longer fences may hold; else itself."""
    is_markdown = block.language is not None and family_of(block.language) == MARKDOWN
    return (blocks_of(block.code) if is_markdown else []) or [block]


def family_of(language: str) -> str:
    """The one name of a language: "python" for "py", "{python}" and "Python3"."""
    match = _LANGUAGE.match(language.strip())
    name = match["name"].casefold() if match else ""
    return _FAMILY.get(name, name)


def blocks_of(text: str) -> list[Block]:
    """The fenced blocks of a text, in their order."""
    blocks: list[Block] = []
    opening: re.Match[str] | None = None
    start = 0
    for place, fence in enumerate(_FENCE.finditer(text)):
        if opening is None:
            if place == 0 and not fence["language"].strip() and _begins_inside(text, fence):
                blocks.append(Block(text[: fence.start()], None))
                continue
            opening, start = fence, fence.end() + 1
        elif _closes(fence, opening):
            code = text[start : fence.start()]
            if code.strip():  # an empty one is no answer
                blocks.append(Block(code, _named(opening)))
            opening = None
    if opening is not None:
        blocks.append(Block(text[start:], _named(opening)))
    return blocks


def _named(fence: re.Match[str]) -> str:
    return fence["language"].strip()


def _closes(fence: re.Match[str], opening: re.Match[str]) -> bool:
    mark = opening["fence"]
    is_alike = fence["fence"][0] == mark[0] and len(fence["fence"]) >= len(mark)
    return is_alike and not fence["language"].strip()


def _begins_inside(text: str, fence: re.Match[str]) -> bool:
    """Whether the first fence closes a block: an odd number of them, and code before it.

    Where what stands before it is prose, the last block was cut off.
    """
    before = text[: fence.start()].strip()
    last = before.rpartition("\n")[2]
    is_prose = last.endswith((":", "!", ".")) and not re.search(
        r"[=()\[\]{};]|\b(?:def|class)\b", last
    )
    is_word = re.fullmatch(r"[A-Z][a-z]*", before) is not None
    if not before or is_prose or is_word:
        return False
    fences = [f for f in _FENCE.finditer(text) if f["fence"][0] == fence["fence"][0]]
    closing = [f for f in fences if not f["language"].strip()]
    opening = [f for f in fences if f["language"].strip()]
    return (len(closing) - len(opening)) % 2 == 1


def _outdented(code: str) -> str:
    """The code of a block in a list, without the indentation that all of its lines have."""
    lines = code.strip("\n").split("\n")
    full = [line for line in lines if line.strip()]
    common = min((len(line) - len(line.lstrip(" \t")) for line in full), default=0)
    return "\n".join(line[common:] for line in lines).strip()
