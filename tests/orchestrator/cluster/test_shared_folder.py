"""Tests of marks in run folders: the right folder passes, others are refused with a reason."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbest.orchestrator.cluster.shared_folder import (
    Mark,
    check_mark,
    file_system_of,
    leave_mark,
    refuse_local_folder,
)
from nbest.orchestrator.errors import InputError
from nbest.orchestrator.store.format.names import is_part, is_temporary
from nbest.orchestrator.store.opening import open_run

MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
tmpfs /dev/shm tmpfs rw 0 0
filer:/home /home nfs4 rw,vers=4.2 0 0
/dev/vdb /home/me/fast\\040disk xfs rw 0 0
tank/scratch /scratch zfs rw 0 0
scratch@tcp:/fs /scratch lustre rw 0 0
"""


@pytest.fixture(params=["path", "uri"])
def directory(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    (tmp_path / "run").mkdir()
    return str(tmp_path / "run") if request.param == "path" else f"file://{tmp_path}/run"


def test_the_mark_is_found_and_nothing_is_left(directory: str, tmp_path: Path) -> None:
    with leave_mark(directory) as mark:
        check_mark(directory, pickle.loads(pickle.dumps(mark)))
        check_mark(directory, mark)  # a worker that died comes back
        assert os.listdir(tmp_path / "run") == [mark.name]
    assert os.listdir(tmp_path / "run") == []


def test_two_drivers_leave_two_marks(directory: str) -> None:
    with leave_mark(directory) as one, leave_mark(directory) as two:
        assert one != two
        check_mark(directory, one)
        check_mark(directory, two)


def test_the_store_takes_a_mark_for_an_unfinished_file(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with open_run(run, fingerprint={}, config={}, queries=[]), leave_mark(str(run)) as mark:
        assert is_temporary(mark.name)
        assert not is_part(mark.name)
        content = (run / mark.name).read_bytes()
    (run / mark.name).write_bytes(content)  # as after a SIGKILL of the driver
    with open_run(run, fingerprint={}, config={}, queries=[]):
        assert not (run / mark.name).exists()


def refusal(directory: str, mark: Mark) -> str:
    with pytest.raises(InputError) as raised:
        check_mark(directory, mark)
    text = str(raised.value)
    rule = "run directory must be one that every machine of the cluster shares and may write to"
    assert text.startswith(f"{rule} (on host {socket.gethostname()!r} ")
    assert text.endswith(f"), got {directory!r}")
    assert "\n" not in text
    return text


def test_another_folder_of_the_same_name_is_refused(directory: str, tmp_path: Path) -> None:
    with leave_mark(directory) as mark:
        os.rename(tmp_path / "run", tmp_path / "elsewhere")
        (tmp_path / "run").mkdir()
        assert "the driver's mark is not in it" in refusal(directory, mark)
        os.rmdir(tmp_path / "run")
        os.rename(tmp_path / "elsewhere", tmp_path / "run")


def test_a_folder_that_is_not_there_is_refused_and_not_made(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere")
    assert "there is no such folder" in refusal(missing, Mark(name=".x.tmp", nonce="1"))
    assert not os.path.exists(missing)


def test_a_wrong_nonce_is_refused(directory: str, tmp_path: Path) -> None:
    with leave_mark(directory) as mark:
        (tmp_path / "run" / mark.name).write_text("0")
        assert "another mark than the driver's is in it" in refusal(directory, mark)


WITHOUT_ROOT = """
import os, sys
from nbest.orchestrator.cluster.shared_folder import Mark, check_mark
if os.geteuid() == 0:  # root may write everywhere
    os.setgid(65534)
    os.setuid(65534)
try:
    check_mark(sys.argv[1], Mark(name=sys.argv[2], nonce=sys.argv[3]))
except ValueError as error:
    print(type(error).__name__, error)
"""


def test_a_folder_that_this_user_cannot_write_is_refused() -> None:
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders are closed to others
        os.chmod(place, 0o755)
        run = Path(place, "run")
        run.mkdir()
        with leave_mark(str(run)) as mark:
            run.chmod(0o555)
            command = [sys.executable, "-c", WITHOUT_ROOT, str(run), mark.name, mark.nonce]
            output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            run.chmod(0o755)
    assert output.startswith("InputError run directory must be one that every machine of the")
    assert "it cannot be written: Permission denied" in output


@pytest.mark.parametrize(
    ("directory", "kind"),
    [
        ("/work/run", "ext4"),
        ("/dev/shm/run", "tmpfs"),
        ("/home/me/run", "nfs4"),
        ("/homes/me/run", "ext4"),  # a name that only begins alike
        ("/home/me/fast disk/run", "xfs"),
        ("/scratch/run", "lustre"),  # the later mount hides the earlier
        ("/work/../home/me", "nfs4"),
    ],
)
def test_the_file_system_of_a_path(directory: str, kind: str) -> None:
    assert file_system_of(directory, MOUNTS) == kind


@given(st.text(max_size=200))
def test_any_text_of_mounts_is_read(text: str) -> None:
    assert isinstance(file_system_of("/a/b", text), str)


def test_a_local_folder_on_many_machines_is_refused_with_the_reason() -> None:
    with pytest.raises(InputError) as raised:
        refuse_local_folder("/work/run", 3, mounts=MOUNTS)
    assert str(raised.value) == (
        "run directory must be on storage that all 3 machines of the cluster share (it is on "
        "ext4, a disk of this machine alone; if you export it to the others under the same "
        "path, set shared_folder), got '/work/run'"
    )


def test_what_may_be_shared_is_not_refused() -> None:
    refuse_local_folder("/work/run", 1, mounts=MOUNTS)
    refuse_local_folder("/work/run", 3, mounts=MOUNTS, is_shared=True)
    refuse_local_folder("/work/run", 3, mounts="")
    refuse_local_folder("/home/me/run", 3, mounts=MOUNTS)
    refuse_local_folder("s3://bucket/run", 3, mounts=MOUNTS)


def test_a_real_temporary_folder_is_refused(tmp_path: Path) -> None:
    if not os.path.exists("/proc/mounts"):
        pytest.skip("no /proc/mounts on this system")
    kind = file_system_of(str(tmp_path), Path("/proc/mounts").read_text())
    if kind.startswith(("nfs", "fuse", "9p", "virtiofs")):
        pytest.skip(f"the temporary folder is on {kind}")
    with pytest.raises(InputError, match="must be on storage that all 2 machines"):
        refuse_local_folder(str(tmp_path), 2)
