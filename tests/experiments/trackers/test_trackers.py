"""Runs in trackers: what they are told, and that the real ones keep it, offline."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from nbest.experiments.cli.app import app
from nbest.experiments.report.data import run_report
from nbest.experiments.trackers.tracked import key_of, tracked
from nbest.orchestrator.errors import InputError
from tests.experiments.isolated import isolated
from tests.experiments.report.test_report import pool


def test_it_is_what_the_report_says(tmp_path: Path) -> None:
    run = pool(tmp_path, 12, 8)
    told, report = tracked(run), run_report(run)
    assert told.figures["accuracy/vote"] == report.rows[0].accuracy
    assert told.figures["accuracy/any of 8 right"] == report.baselines[1].accuracy
    assert told.figures["samples/total"] == 12 * 8
    assert told.curves["vote"] == {k: report.curves[2].mean[k - 1] for k in report.ks}
    assert told.settings["extract"] == "last_number"
    assert len(told.answers) == 1 + 12
    assert all("(" not in key for key in told.figures)


def test_names_have_no_signs_that_mean_something() -> None:
    assert key_of('weighted_vote(by=score(name="rm"))') == "weighted_vote_by_score_name_rm"
    assert key_of("any of 8 right") == "any of 8 right"


def test_another_tracker_and_a_missing_package_are_told(tmp_path: Path) -> None:
    run = pool(tmp_path, 2, 2)
    result = CliRunner().invoke(app, ["track", str(run), "--to", "comet"])
    assert isinstance(result.exception, InputError)
    assert "to must be one of wandb, mlflow, got 'comet'" in str(result.exception)
    result = CliRunner().invoke(app, ["track", str(run), "--to", "wandb", "--out", str(tmp_path)])
    assert isinstance(result.exception, InputError)
    assert "pip install 'nbest[trackers]'" in str(result.exception)


READS_MLFLOW = """
import json, sys
import mlflow
mlflow.set_tracking_uri(sys.argv[1])
(run,) = mlflow.search_runs(experiment_names=["sums"], output_format="list")
client = mlflow.MlflowClient()
curve = [(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "curve/vote")]
files = [file.path for file in client.list_artifacts(run.info.run_id)]
print(json.dumps([run.data.params["extract"], run.data.metrics["accuracy/vote"], curve, files]))
"""


@pytest.mark.parametrize("tracker", ["mlflow", "wandb"])
def test_the_real_trackers_keep_it_offline(tracker: str, tmp_path: Path) -> None:
    run = pool(tmp_path, 12, 8)
    packages = {
        "mlflow": ["mlflow-skinny==3.17.2", "sqlalchemy", "alembic"],
        "wandb": ["wandb==0.31.0"],
    }[tracker]
    words = ["-m", "nbest", "track", str(run), "--to", tracker, "--out", "kept"]
    said = isolated(tmp_path, packages, *words, "--project", "sums", with_nbest=True)
    if tracker == "wandb":
        assert said.startswith("wrote kept: wandb sync ")
        (log,) = (tmp_path / "kept").glob("wandb/offline-run-*/*.wandb")
        content = log.read_bytes()
        assert b"accuracy/vote" in content
        assert b"curve/vote" in content
        return
    assert "mlflow ui --backend-store-uri sqlite:////" in said
    (tmp_path / "reads.py").write_text(READS_MLFLOW)
    place = f"sqlite:///{tmp_path}/kept/mlflow.db"
    read = json.loads(isolated(tmp_path, packages, "reads.py", place))
    told = tracked(run)
    curve = [[k, value] for k, value in told.curves["vote"].items()]
    assert read == ["last_number", told.figures["accuracy/vote"], curve, ["answers.csv"]]
