"""What a subject may do to its machine: general means, made for no task in particular."""

from scaffold.tools.file import LIST_DIRECTORY, READ_FILE, WRITE_FILE
from scaffold.tools.finish import FINISH
from scaffold.tools.function import FunctionTool
from scaffold.tools.network import HTTP_REQUEST, LIST_PORTS
from scaffold.tools.process import LIST_PROCESSES, START_PROCESS, STOP_PROCESS
from scaffold.tools.shell import SHELL

__all__ = [
    "DEFAULT_TOOLS",
    "FINISH",
    "HTTP_REQUEST",
    "LIST_DIRECTORY",
    "LIST_PORTS",
    "LIST_PROCESSES",
    "READ_FILE",
    "SHELL",
    "START_PROCESS",
    "STOP_PROCESS",
    "WRITE_FILE",
    "FunctionTool",
]

DEFAULT_TOOLS = (
    SHELL,
    READ_FILE,
    WRITE_FILE,
    LIST_DIRECTORY,
    START_PROCESS,
    LIST_PROCESSES,
    STOP_PROCESS,
    HTTP_REQUEST,
    LIST_PORTS,
)
