"""What is in deploy/: each file is as valid as this machine can tell, and the scripts are run.

The scripts end in `ray stop`, which ends every Ray of this user. So they run where they see no
other process: in a PID namespace of their own, which not every machine allows.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from nbest.orchestrator.store.reader import RunReader

ROOT = Path(__file__).resolve().parents[1]
DEPLOY = ROOT / "deploy"
SBATCH = DEPLOY / "slurm.sbatch"
SCRIPTS = [SBATCH, DEPLOY / "ray-job.sh"]
TOKEN = "0123456789abcdef" * 4


def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


# -- as texts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_bash_and_say_how_they_are_used(script: Path) -> None:
    assert run(["bash", "-n", str(script)]).stderr == ""
    done = run(["bash", str(script)])
    assert done.returncode == 2
    assert done.stderr.startswith(f"usage: {'sbatch ' if script is SBATCH else ''}{script.name} ")


def test_options_of_sbatch() -> None:
    text = SBATCH.read_text()
    head, body = re.split(r"^set -u$", text, maxsplit=1, flags=re.MULTILINE)
    assert "#SBATCH" not in body  # Slurm reads none after the first command
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)(?:=(\S+))?$", head, flags=re.MULTILINE))
    assert len(options) == text.count("\n#SBATCH ")  # each line was read
    assert options["ntasks-per-node"] == "1"  # symmetric-run is started once a node
    assert options["open-mode"] == "append"  # a log that a requeue does not empty
    assert {"requeue", "exclusive", "nodes", "time"} <= options.keys()
    to_the_script = re.fullmatch(r"B:TERM@(\d+)", options["signal"])
    assert to_the_script is not None
    assert int(to_the_script[1]) >= 60  # nbest writes in seconds; then Ray has to stop


@pytest.fixture(scope="module")
def manifests() -> dict[str, dict[str, Any]]:
    documents = yaml.safe_load_all((DEPLOY / "rayjob.yaml").read_text())
    return {document["kind"]: document for document in documents}


# Fields of KubeRay's RayJobSpec and RayClusterSpec, v1.6.
JOB_FIELDS = {
    "activeDeadlineSeconds",
    "backoffLimit",
    "entrypoint",
    "rayClusterSpec",
    "shutdownAfterJobFinishes",
    "submissionMode",
    "submitterPodTemplate",
    "ttlSecondsAfterFinished",
}
CLUSTER_FIELDS = {"authOptions", "headGroupSpec", "rayVersion", "workerGroupSpecs"}
GROUP_FIELDS = {"groupName", "maxReplicas", "minReplicas", "rayStartParams", "replicas", "template"}
POD_FIELDS = {"containers", "restartPolicy", "terminationGracePeriodSeconds", "volumes"}


def test_fields_of_the_rayjob_are_kuberays(manifests: dict[str, dict[str, Any]]) -> None:
    assert manifests.keys() == {"RayJob", "PersistentVolumeClaim", "NetworkPolicy"}
    job = manifests["RayJob"]
    assert job["apiVersion"] == "ray.io/v1"
    assert job["spec"].keys() <= JOB_FIELDS
    assert job["spec"]["submissionMode"] in {"K8sJobMode", "HTTPMode", "SidecarMode"}
    cluster = job["spec"]["rayClusterSpec"]
    assert cluster.keys() <= CLUSTER_FIELDS
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        assert group.keys() <= GROUP_FIELDS
        assert group["template"]["spec"].keys() <= POD_FIELDS


def test_the_rayjob_resumes_on_shared_storage(manifests: dict[str, dict[str, Any]]) -> None:
    spec = manifests["RayJob"]["spec"]
    claim = manifests["PersistentVolumeClaim"]
    assert claim["spec"]["accessModes"] == ["ReadWriteMany"]
    assert spec["backoffLimit"] >= 1
    cluster = spec["rayClusterSpec"]
    for group in [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]:
        pod = group["template"]["spec"]
        shared = {
            volume["name"]
            for volume in pod["volumes"]
            if volume.get("persistentVolumeClaim", {}).get("claimName") == claim["metadata"]["name"]
        }
        (container,) = pod["containers"]
        paths = {m["mountPath"] for m in container["volumeMounts"] if m["name"] in shared}
        assert paths == {"/runs"}
    out = re.search(r"--out (\S+)", spec["entrypoint"])
    assert out is not None
    assert out[1].startswith("/runs/")


def test_the_rayjob_asks_for_a_token_and_closes_its_ports(
    manifests: dict[str, dict[str, Any]],
) -> None:
    spec = manifests["RayJob"]["spec"]
    cluster = spec["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token", "secretName": "nbest-ray-token"}
    policy = manifests["NetworkPolicy"]["spec"]
    label = policy["podSelector"]["matchLabels"]
    templates = [
        spec["submitterPodTemplate"],
        cluster["headGroupSpec"]["template"],
        *(group["template"] for group in cluster["workerGroupSpecs"]),
    ]
    assert all(template["metadata"]["labels"] == label for template in templates)
    assert policy["policyTypes"] == ["Ingress"]
    sources = [source for rule in policy["ingress"] for source in rule["from"]]
    assert {"podSelector": {"matchLabels": label}} in sources
    assert all("podSelector" in source for source in sources)  # nobody else's pods


def test_the_entrypoint_is_a_command_line_that_nbest_understands(
    manifests: dict[str, dict[str, Any]], folder: Path
) -> None:
    words = manifests["RayJob"]["spec"]["entrypoint"].split()
    words[words.index("/runs/config.yaml")] = str(folder / "config.yaml")
    command = [sys.executable, "-m", "nbest", *words[1:], "--dry-run"]
    done = run(command, cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)})
    assert (words[0], done.returncode) == ("nbest", 0), done.stderr


# -- as programs --------------------------------------------------------------------------------

CONFIG = """\
name: fake
dataset: {kind: jsonl, path: questions.jsonl}
prompt: {template: "Q: {question}"}
model: {backend: fake, answers: ["42", "41"], weights: [2, 1], token_s: 0.5, max_concurrency: 8}
strategy: {n: 4}
select: [vote]
extract: last_number
grade: number
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.yaml").write_text(CONFIG)
    rows = [f'{{"id": "q{i}", "question": "{i}", "answer": "42"}}\n' for i in range(200)]
    (tmp_path / "questions.jsonl").write_text("".join(rows))
    return tmp_path


@pytest.fixture
def alone() -> list[str]:
    """The start of a command that sees no process but its own children."""
    pytest.importorskip("ray")
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    if shutil.which("unshare") is None or run([*command, "true"]).returncode != 0:
        pytest.skip("this machine allows no PID namespace, and `ray stop` would stop every Ray")
    return command


@pytest.fixture
def environment(folder: Path) -> Iterator[dict[str, str]]:
    """One with ray and nbest on PATH, and a place for Ray whose name is short enough."""
    programs = folder / "bin"
    programs.mkdir()
    for name, line in {
        "nbest": f'exec {sys.executable} -m nbest "$@"',
        "srun": 'exec "$@"',  # of a job on one node
        "scontrol": f'echo "$@" > {folder}/scontrol.said',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{line}\n")
        (programs / name).chmod(0o755)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("RAY_")}
    with tempfile.TemporaryDirectory(prefix="nb", ignore_cleanup_errors=True) as place:
        yield clean | {
            "PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "RAY_TMPDIR": place,
        }


def free_ports(count: int) -> list[str]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [str(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


# As Slurm does: SIGTERM to the batch shell alone, in good time.
UNDER_SLURM = """
set -m
bash "$1" config.yaml run &
job=$!
until ls run/samples/*.parquet > /dev/null 2>&1 || ! kill -0 $job; do sleep 0.1; done
kill -TERM $job
wait $job
"""


@pytest.mark.ray
def test_the_slurm_script_ends_early_with_75_and_queues_again(
    alone: list[str], environment: dict[str, str], folder: Path
) -> None:
    """All of it is real but `srun` and `scontrol`: there is one node, and no Slurm."""
    more = {
        "NBEST_HEAD_IP": "127.0.0.1",
        "NBEST_HEAD_PORT": free_ports(1)[0],
        "NBEST_RAY_OPTIONS": "--num-cpus=4 --include-dashboard=false",
        "SLURM_JOB_ID": "17",
    }
    command = [*alone, "bash", "-c", UNDER_SLURM, "slurm", str(SBATCH)]
    done = run(command, cwd=folder, env=environment | more)
    assert done.returncode == 75, done.stdout + done.stderr
    assert (folder / "scontrol.said").read_text() == "requeue 17\n"
    assert "interrupted; the same command goes on from here" in done.stderr
    kept = {query: len(samples) for query, samples in RunReader(folder / "run").samples()}
    assert 0 < sum(kept.values()) < 200 * 4


JOB_SERVER = """
ray start --head --port "$1" --dashboard-port "$2" --node-ip-address 127.0.0.1 --num-cpus 4 \\
    --dashboard-agent-listen-port "$4" --disable-usage-stats > head.log 2>&1 || exit 99
submit() { bash "$3" mine run "$PWD/config.yaml" --out "$PWD/run" --limit 8 --set model.token_s=0; }
until submit "$@" > first.log 2>&1; do
    grep -q "No available agent" first.log || exit 98  # it starts some seconds after the head
done
submit "$@" > second.log 2>&1
"""


@pytest.mark.ray
def test_a_job_is_submitted_once_and_again_when_it_has_ended(
    alone: list[str], environment: dict[str, str], folder: Path
) -> None:
    pytest.importorskip("aiohttp", reason="Ray's job server comes with ray[default]")
    port, dashboard, agent = free_ports(3)
    more = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": TOKEN,
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{dashboard}",
    }
    script = str(DEPLOY / "ray-job.sh")
    command = [*alone, "bash", "-c", JOB_SERVER, "job", port, dashboard, script, agent]
    done = run(command, cwd=folder, env=environment | more)
    logs = "".join(path.read_text() for path in sorted(folder.glob("*.log")))
    assert done.returncode == 0, logs
    assert len({record.query_id for record in RunReader(folder / "run").records()}) == 8
    for name in ("first.log", "second.log"):
        assert "Job 'nbest-mine' succeeded" in (folder / name).read_text()
