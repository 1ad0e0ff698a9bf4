"""Writes a run to a tracker, on this machine: nothing is sent anywhere.

W&B runs offline; `wandb sync FOLDER` sends what it wrote. MLflow has a database of SQLite, which
`mlflow ui` shows: it no longer wants plain files.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping
from pathlib import Path

from nbest.experiments.language.optional_packages import optional
from nbest.experiments.trackers.tracked import Tracked

EXTRA = "trackers"


def send(run: Tracked, tracker: str, out: Path, project: str) -> str:
    """Write a run to the folder `out`; returns what to do with it."""
    out.mkdir(parents=True, exist_ok=True)
    return _SENDERS[tracker](run, out, project)


def _to_wandb(run: Tracked, out: Path, project: str) -> str:
    wandb = optional("wandb", "Weights & Biases", EXTRA)
    settings = wandb.Settings(silent=True, console="off")
    config = dict(run.settings)
    logged = wandb.init(
        project=project,
        name=run.name,
        dir=str(out),
        mode="offline",
        config=config,
        settings=settings,
    )
    logged.define_metric("k")
    for name in run.curves:
        logged.define_metric(f"curve/{name}", step_metric="k")
    for k, values in _by_k(run).items():
        logged.log({"k": k, **{f"curve/{name}": value for name, value in values.items()}})
    if run.answers:
        head, *rows = csv.reader(io.StringIO("\n".join(run.answers)))
        logged.log({"answers": wandb.Table(columns=head, data=rows)})
    logged.summary.update(dict(run.figures))
    folder = Path(logged.dir).parent
    logged.finish()
    return f"wandb sync {folder}"


def _to_mlflow(run: Tracked, out: Path, project: str) -> str:
    mlflow = optional("mlflow", "MLflow", EXTRA)
    place = f"sqlite:///{out.resolve()}/mlflow.db"
    mlflow.set_tracking_uri(place)
    if mlflow.get_experiment_by_name(project) is None:
        mlflow.create_experiment(project, artifact_location=(out / "artifacts").resolve().as_uri())
    mlflow.set_experiment(project)
    with mlflow.start_run(run_name=run.name):
        mlflow.log_params(dict(run.settings))
        mlflow.log_metrics(dict(run.figures))
        for k, values in _by_k(run).items():
            mlflow.log_metrics({f"curve/{name}": v for name, v in values.items()}, step=k)
        if run.answers:
            mlflow.log_text("\n".join(run.answers) + "\n", "answers.csv")
    return f"mlflow ui --backend-store-uri {place}"


def _by_k(run: Tracked) -> dict[int, dict[str, float]]:
    """The curves, k by k."""
    points: dict[int, dict[str, float]] = {}
    for name, curve in run.curves.items():
        for k, value in curve.items():
            points.setdefault(k, {})[name] = value
    return dict(sorted(points.items()))


_SENDERS: Mapping[str, Callable[[Tracked, Path, str], str]] = {
    "wandb": _to_wandb,
    "mlflow": _to_mlflow,
}
