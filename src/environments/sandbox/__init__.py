"""The embedded machine: a bubblewrap sandbox, one per trial, from Linux's own means.

Nothing is installed or downloaded: the machine's programs are the host distribution's `/usr`, under a
copy-on-write layer; everything else in it is made new.
"""

from environments.sandbox.provider import Sandbox

__all__ = ["Sandbox"]
