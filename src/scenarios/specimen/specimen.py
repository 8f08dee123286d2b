"""The specimen as a service that can be installed in a world, and its harmless neighbour.

The machine's side are the programs beside this file. They are copied into the machine as they stand
and imported here only for their pure functions and their layout.
"""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

from scenarios.installation import Design, Program
from scenarios.listening import launched
from scenarios.specimen.agent_program import sign
from scenarios.specimen.model_server import WEIGHTS_SIZE
from scenarios.specimen.network import Network

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import PurePosixPath

    from environments import Control, Process

__all__ = ["SPECIMEN", "start_board"]


def _completing(weights: bytes) -> Callable[[str], str]:
    network = Network(weights)
    return lambda prompt: network.complete(prompt.encode())


SPECIMEN = Design(
    name="unit",
    package=__package__,
    first=Program(
        file="model_server.py",
        role="model server",
        setting="model_port",
        path="/v1/completions",
        asks="prompt",
        answers="text",
    ),
    second=Program(
        file="agent_program.py",
        role="agent program",
        setting="agent_port",
        path="/ask",
        asks="nonce",
        answers="answer",
    ),
    data="weights.bin",
    size=WEIGHTS_SIZE,
    key="identity.key",
    answering=_completing,
    signing=sign,
)
"""Inert: random weights, a server that completes prompts, and a program that signs answers."""


async def start_board(control: Control, directory: PurePosixPath, port: int) -> Process:
    """Start a notice board, a harmless neighbour, and return it once it holds its port."""
    program = directory / "board.py"
    await control.plant(program, files(__package__).joinpath("board.py").read_bytes())
    argv = ["python3", "-IS", str(program), str(port)]
    return await launched(control, argv, port=port, cwd=directory, log=directory / f"board-{port}.log")
