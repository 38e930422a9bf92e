"""The port of EfficientNet-Lite is the network it claims to be, and is converted once."""

import io
import multiprocessing
import pickle

import numpy as np
import pytest

from learning import backbones, efficientnet, torch_weights

# The first logits and the norm of all 1,000 for noise of seed 0, computed by an independent implementation in
# PyTorch 2.13 from the same files; another scaling or padding moves them by far more than is allowed here.
STORED = {
    "efficientnet-lite0": (224, 4_694_024, 2_624, [-2.43344, 0.15659, 1.05621, 0.26561, 1.62513], 41.5848),
    "efficientnet-lite2": (260, 6_150_168, 3_232, [-2.46957, 0.00874, -0.39229, -0.73337, -0.20849], 40.5937),
}


@pytest.fixture
def prepared(prepared_backbones):
    return backbones.find("efficientnet-lite0", prepared_backbones)


@pytest.mark.trainer
@pytest.mark.parametrize("name", STORED)
def test_the_port_gives_the_stored_logits(name):
    size, parameters, embedding_size, first, norm = STORED[name]
    network = efficientnet.build(name, size, with_top=True)
    pixels = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.float32)
    logits = np.asarray(network(pixels))[0]
    assert network.count_params() == parameters
    assert np.abs(logits[:5] - first).max() < 1e-3
    assert abs(np.linalg.norm(logits) - norm) < 1e-2
    assert efficientnet.embedding_size(name) == embedding_size


@pytest.mark.trainer
def test_a_backbone_is_converted_once_and_found_without_tensorflow(prepared):
    folder = prepared.path.parent
    before = prepared.path.stat().st_mtime_ns
    assert backbones.prepare(prepared.name, folder) == prepared == backbones.find(prepared.name, folder)
    assert prepared.path.stat().st_mtime_ns == before
    assert prepared.embedding_size == 2_624


def test_a_backbone_whose_file_is_cut_short_is_not_found(tmp_path):
    (tmp_path / "efficientnet-lite0.json").write_text('{"file": "x.tflite", "bytes": 5}')
    (tmp_path / "x.tflite").write_bytes(b"four")
    assert backbones.find("efficientnet-lite0", tmp_path) is None


def test_an_unknown_backbone_is_answered_with_the_known_ones(tmp_path):
    with pytest.raises(backbones.BackboneUnknown, match="efficientnet-lite0"):
        backbones.find("vgg-nineteen", tmp_path)


def _prepare(folder, answers):
    answers.put(backbones.prepare("efficientnet-lite0", folder).identifier)


@pytest.mark.trainer
def test_two_processes_do_not_convert_at_once(tmp_path):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    both = [context.Process(target=_prepare, args=(tmp_path, answers)) for _ in range(2)]
    for process in both:
        process.start()
    assert answers.get(timeout=120) == answers.get(timeout=120)
    for process in both:
        process.join()
    assert len(list(tmp_path.glob("*.tflite"))) == 1


def test_weights_that_were_altered_are_refused(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"anything else")
    with pytest.raises(torch_weights.WeightsRefused, match="not the published ones"):
        torch_weights.read_torch_weights(path, "0" * 64)


def test_a_pickle_that_wants_more_than_tensors_is_refused():
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    with pytest.raises(torch_weights.WeightsRefused, match="print"):
        torch_weights._read(io.BytesIO(pickle.dumps(Evil())))
