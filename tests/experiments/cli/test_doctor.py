"""`nbest doctor`: what it finds here, and what it prints of what it finds."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import pytest

from nbest.experiments.cli.doctor import MARKS, Finding, findings, installed, print_findings

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def by_name() -> dict[str, Finding]:
    listed = findings()
    assert len({finding.name for finding in listed}) == len(listed)
    return {finding.name: finding for finding in listed}


def test_it_looks_at_everything_that_a_run_needs(by_name: dict[str, Finding]) -> None:
    needed = {"python", "numpy", "pyarrow", "pydantic", "ray", "typer", "rich", "jsonschema"}
    extras = {f"extra {name}" for name in ("tasks", "report", "hf", "math", "sql", "code")}
    optional = {"vllm", "gpu", "smollm2-135m", "disk", *extras}
    assert needed | optional <= set(by_name)
    assert set(by_name) - needed - optional <= {"torchvision", "torchaudio"}


def test_what_is_installed_is_told_with_its_version(by_name: dict[str, Finding]) -> None:
    assert by_name["numpy"] == Finding(name="numpy", state="ok", found=version("numpy"))
    assert by_name["python"].found == ".".join(map(str, sys.version_info[:3]))


def test_whatever_is_not_well_has_advice(by_name: dict[str, Finding]) -> None:
    for finding in by_name.values():
        assert finding.state in MARKS
        assert finding.found
        if finding.state == "fault" or (finding.state == "absent" and finding.name != "gpu"):
            assert finding.advice, finding.name
        assert "\n" not in finding.found + finding.advice


def test_a_package_that_is_not_there_is_none() -> None:
    assert installed("no-such-package-anywhere") is None
    assert installed("numpy") == version("numpy")


SOME = [
    Finding(name="ray", state="ok", found="2.60.0"),
    Finding(name="extra report", state="absent", found="not installed", advice="install it"),
    Finding(name="disk", state="fault", found="0 GiB free here", advice="free 2 GiB"),
]


def test_it_prints_a_line_for_each_with_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    print_findings(SOME)
    assert capsys.readouterr().out.splitlines() == [
        "ok      ray           2.60.0",
        "absent  extra report  not installed  -> install it",
        "FAULT   disk          0 GiB free here  -> free 2 GiB",
    ]


def test_only_a_fault_is_a_fault() -> None:
    assert [finding.is_fault for finding in SOME] == [False, False, True]


def test_json_has_every_field() -> None:
    document = json.loads(json.dumps([finding.as_json() for finding in SOME]))
    assert [list(entry) for entry in document] == [[f.name for f in fields(Finding)]] * 3
    assert document[2]["advice"] == "free 2 GiB"


def test_it_starts_no_engine_and_imports_none() -> None:
    """It has to work where an engine cannot even be imported."""
    program = """
import sys
from nbest.experiments.cli.doctor import findings
findings()
print(sorted({"ray", "torch", "vllm", "transformers", "datasets"} & set(sys.modules)))
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert process.stdout == "[]\n"


def test_the_exit_status_says_whether_there_is_a_fault(by_name: dict[str, Finding]) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "nbest", "doctor", "--json"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    listed = json.loads(process.stdout)["findings"]
    assert [entry["name"] for entry in listed] == list(by_name)
    assert process.returncode == int(any(entry["state"] == "fault" for entry in listed))
    assert process.stderr == ""
