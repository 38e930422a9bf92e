"""A package's whole network in LiteRT, which needs neither TensorFlow nor anything else of ours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from learning.package import NETWORK_FILE, Decision, PackageDamaged, Said, load_with


class Network:
    """A whole network in one LiteRT interpreter. Never share it between threads.

    Raises:
        PackageDamaged: the file is missing, or no network that LiteRT can run.
    """

    def __init__(self, path: str | Path, threads: int = 1):
        if not Path(path).exists():
            raise PackageDamaged(f"{path} is missing: the whole network was not exported, or was not proven.")
        try:
            self._interpreter = Interpreter(model_path=str(path), num_threads=threads)
            self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise PackageDamaged(f"{path} is damaged.") from error
        self._input = self._interpreter.get_input_details()[0]["index"]
        by_rank = {len(output["shape"]): output["index"] for output in self._interpreter.get_output_details()}
        if 2 not in by_rank:
            raise PackageDamaged(f"{path} gives no logits.")
        self._logits, self._map = by_rank[2], by_rank.get(4)

    def logits(self, pixels: np.ndarray) -> np.ndarray:
        """Return float32 (labels,) for `center_crop`'s uint8 (size, size, 3)."""
        self._interpreter.set_tensor(self._input, pixels[np.newaxis].astype(np.float32))
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._logits)[0]

    def logits_with_map(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the logits, and the map, float32 (h, w, features), whose mean its last layer was given.

        The map is None of a network that was packaged before there were maps.
        """
        logits = self.logits(pixels)
        return logits, None if self._map is None else self._interpreter.get_tensor(self._map)[0]

    def look(self, pixels: np.ndarray) -> tuple[Said, np.ndarray | None]:
        """Return what `say` does, and the map that it comes from, where there is one."""
        logits, seen = self.logits_with_map(pixels)
        return Said(logits, None if seen is None else seen.mean(axis=(0, 1))), seen

    def say(self, pixels: np.ndarray) -> Said:
        """Return the logits, and the mean of the map, for `center_crop`'s uint8 (size, size, 3)."""
        return self.look(pixels)[0]


class NetworkClassifier:
    """The whole network: needs model.tflite, package.json and, to tell the unknown, rejection.npz.

    Never share it between threads.

    Raises:
        PackageDamaged: a file is missing, damaged, or does not fit the others.
    """

    def __init__(self, folder: str | Path, threads: int = 1):
        self.package = load_with(Path(folder), lambda folder, spec: {})
        self._network = Network(Path(folder, NETWORK_FILE), threads)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Return calibrated probabilities, float64 (labels,), for `center_crop`'s uint8 (size, size, 3)."""
        return self.package.calibration.probabilities(self._network.logits(pixels))

    def answer(self, pixels: np.ndarray) -> Decision:
        """Decide what is said of `center_crop`'s uint8 (size, size, 3).

        Raises:
            NoAnswer: the network gives no number.
        """
        return self.package.answer(self._network.say(pixels))

    def look(self, pixels: np.ndarray) -> tuple[Said, np.ndarray | None]:
        """Return what is said of uint8 (size, size, 3), and the map it comes from, where there is one."""
        return self._network.look(pixels)
