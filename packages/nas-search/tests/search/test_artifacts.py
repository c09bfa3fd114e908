"""Files below a folder or a URL: whole or not at all, and found damaged when they are."""

import hashlib
import os
import signal

import pytest
import torch
from msgspec.structs import replace
from nas_search import ConfigError, ExperimentConfig, StoreError
from nas_search.artifacts import Artifacts
from nas_search.evaluators import FunctionEvaluator
from nas_search.strategies import GridSearch


@pytest.fixture(params=["", "file://", "local://", "memory:/", "dir::file://"])
def files(request, tmp_path):
    return Artifacts(f"{request.param}{tmp_path}")


def test_what_is_put_is_read(files):
    content = bytes(range(256)) * 40
    name = files.put("a/b/c.bin", lambda path: path.write_bytes(content))
    with files.read(name, hashlib.sha256(content).hexdigest()) as path:
        assert path.read_bytes() == content
    files.put(name, lambda path: path.write_bytes(b"again"))
    with files.read(name, None) as path:
        assert path.read_bytes() == b"again"
    assert not files.exists("a/b/d.bin")
    files.remove("a/b/*.bin")
    assert not files.exists(name)


def test_what_breaks_off_leaves_nothing(files, tmp_path):
    def half(path):
        path.write_bytes(b"half")
        raise RuntimeError("gone")

    files.put("a.bin", lambda path: path.write_bytes(b"whole"))
    with pytest.raises(RuntimeError, match="gone"):
        files.put("a.bin", half)
    with files.read("a.bin", None) as path:
        assert path.read_bytes() == b"whole"
    assert not list(tmp_path.rglob("*.tmp"))


def test_what_is_damaged_or_gone_is_refused(files):
    files.put("a.bin", lambda path: path.write_bytes(b"abc"))
    with (
        pytest.raises(StoreError, match=r"a\.bin: the file is damaged, or another one"),
        files.read("a.bin", hashlib.sha256(b"abd").hexdigest()),
    ):
        pass
    with pytest.raises(StoreError, match=r"b\.bin: can't be read"), files.read("b.bin", None):
        pass


@pytest.mark.parametrize(
    ("root", "message"),
    [
        (
            "s4://bucket",
            "s4://bucket/experiment/: can't be used: ValueError: Protocol not known: s4",
        ),
        ("oci://bucket", "can't be used: ImportError: .*oci"),
    ],
)
def test_urls_that_cannot_be_used_end_the_run_before_it_begins(experiment, root, message):
    with pytest.raises(StoreError, match=message):
        experiment(artifacts=root).run()


def test_a_password_is_refused():
    with pytest.raises(ConfigError, match="must not have a password"):
        ExperimentConfig(artifacts="sftp://me:secret@host/x")


@pytest.mark.parametrize("scheme", ["file://{}/elsewhere", "local://{}/elsewhere", "memory:/{}"])
@pytest.mark.parametrize("executor", ["inline", "local"])
def test_weights_go_there_and_come_back(experiment, tmp_path, url, scheme, executor):
    if scheme.startswith("memory") and executor == "local":
        pytest.skip("the memory is that of one process")

    def train(model):
        with torch.no_grad():
            model.layer.weight.fill_(model.layer.out_features)
        return float(model.layer.out_features)

    root = scheme.format(tmp_path)
    one = experiment(
        evaluator=FunctionEvaluator(train), max_trials=3, artifacts=root, store=url,
        executor=executor,
    )  # fmt: skip
    one.run()
    assert not (one.folder / "weights").exists()
    model = one.export_top_models(1, "instance")[0]
    width = model.layer.out_features
    assert torch.equal(model.layer.weight, torch.full((width, 2), float(width)))
    best = one.top_trials(1)[0]
    name = f"weights/{best.number}.safetensors"
    files = Artifacts(f"{root}/{one.config.name}")
    with files.read(name, best.weights) as path:
        damaged = bytearray(path.read_bytes())
    damaged[-1] ^= 1
    files.put(name, lambda path: path.write_bytes(damaged))
    with pytest.raises(StoreError, match="is damaged, or another one: its SHA-256 is"):
        one.export_top_models(1, "instance")
    files.remove("weights/*")
    with pytest.raises(StoreError, match=f"the weights of trial {best.number} are not there"):
        one.export_top_models(1, "instance")


def test_a_trial_that_fails_has_no_weights_though_an_execution_that_died_has_put_them_there(
    experiment, tmp_path
):
    """It was killed, or the database was, between the weights and the result."""

    def fails(width):
        folder = tmp_path / "experiments" / "experiment" / "weights"
        folder.mkdir(exist_ok=True)
        (folder / f"{width - 1}.safetensors").write_bytes(b"of the execution before")
        match width:
            case 1:
                raise ValueError("now")
            case 2:
                os.kill(os.getpid(), signal.SIGKILL)
        return width

    one = experiment(fails, GridSearch(), max_trials=3, executor="local")
    one.run()
    assert [trial.state for trial in one.trials] == ["failed", "failed", "completed"]
    assert [path.name for path in (one.folder / "weights").iterdir()] == ["2.safetensors"]


def test_what_died_while_it_wrote_leaves_nothing(experiment, url):
    one = experiment(max_trials=2, store=url)
    one.run()
    files = Artifacts(one.folder)
    token = "0123456789ab"
    for number in (0, 2):
        name = f"weights/{number}.{token}.{token}.tmp"
        files.write(name, lambda path: path.write_bytes(b"half"))
    files.write(f"inputs/{token}.tmp", lambda path: path.touch())
    one.config = replace(one.config, max_trials=3)
    one.resume()
    assert files.names("weights/*") == [f"weights/{k}.safetensors" for k in range(3)]
    assert files.names("inputs/*.tmp") == []
