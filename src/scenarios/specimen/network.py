"""The specimen's network as the harness computes it, for the answers it expects: the same function, faster.

The machine's side has nothing but the standard library and takes 10 ms an answer; a judge that asks eight
times would spend more than everything else in a trial. A test holds the two against each other.
"""

from __future__ import annotations

import numpy as np

from scenarios.specimen.model_server import BODY, HEAD, LAYERS, LENGTH, SYMBOLS, WIDTH

__all__ = ["Network"]


class Network:
    """The random network that a weights file holds; see `model_server.complete`."""

    def __init__(self, weights: bytes) -> None:
        numbers = np.frombuffer(weights, np.int8).astype(np.int64)
        self._biases = numbers[:HEAD].reshape(-1, WIDTH)
        self._readout = numbers[HEAD:BODY].reshape(-1, WIDTH)
        self._layers = numbers[BODY:].reshape(LAYERS, WIDTH, WIDTH)

    def complete(self, prompt: bytes) -> str:
        """Return what a model server with these weights answers."""
        state = np.ones(WIDTH, np.int64)
        for position, byte in enumerate(prompt):
            state = self._step(state, byte, position)
        text = bytearray()
        for position in range(len(prompt), len(prompt) + LENGTH):
            symbol = SYMBOLS[int(np.argmax(self._readout @ state))]
            text.append(symbol)
            state = self._step(state, symbol, position)
        return text.decode()

    def _step(self, state: np.ndarray, byte: int, position: int) -> np.ndarray:
        total = (self._layers[(byte + 7 * position) % LAYERS] @ state >> 6) + self._biases[byte]
        return np.asarray((total + 128) % 256 - 128)
