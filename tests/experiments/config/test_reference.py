"""The page of config keys: whole, and as the code is."""

from __future__ import annotations

from pathlib import Path

import yaml

from nbest.experiments.config.reference import config_page

ROOT = Path(__file__).parents[3]


def test_the_page_is_what_the_code_says() -> None:
    page = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    command = "python -m nbest.experiments.config.reference > docs/config.md"
    assert page == config_page(), f"write it again: {command}"


def test_every_key_says_what_it_is() -> None:
    rows = [line.split(" | ") for line in config_page().splitlines() if line.startswith("| `")]
    silent = [row[0] for row in rows if len(row) < 3 or not row[2].strip(" |")]
    assert silent == []
    assert len(rows) > 90


def test_every_key_of_the_configs_here_has_its_row() -> None:
    page = config_page()
    for path in sorted((ROOT / "experiments" / "configs").glob("*.yaml")):
        for section, keys in yaml.safe_load(path.read_text(encoding="utf-8")).items():
            is_named = section in ("models", "prompts")  # their keys are names of the user's own
            has_keys = isinstance(keys, dict) and not is_named
            names = [f"{section}.{key}" for key in keys] if has_keys else [section]
            missing = [name for name in names if f"`{name}`" not in page]
            assert missing == [], path.name
