"""Where programs of the study's own run, such as a model server: here, over SSH, in a virtual machine.

No agent acts on such a host. What an agent acts on is opened by a provider, with a certificate; see
`environments.protocols`.
"""

from environments.hosting.here import HERE
from environments.hosting.names import host_of
from environments.hosting.protocols import Host, Program

__all__ = ["HERE", "Host", "Program", "host_of"]
