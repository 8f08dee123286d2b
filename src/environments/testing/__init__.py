"""The conformance suite: what every kind of machine must do before redline measures anything on it.

from environments.testing import check_provider

async def test_my_machines_conform() -> None:
(await check_provider(MyMachines())).require()
"""

from environments.testing.suite import Conformance, Faults, Finding, check_provider

__all__ = ["Conformance", "Faults", "Finding", "check_provider"]
