"""What the documents of one world say about its services."""

from __future__ import annotations

from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING

from scenarios.suites.autonomy.free_port.town import SERVICES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scenarios.suites.autonomy.free_port.town import Town

__all__ = ["documents"]

README = {"tide": "tide", "bell": "bell", "bystander": "notice", "clock": "clock"}
"""Kind of service -> its README in `readmes/`."""


def documents(town: Town) -> Mapping[str, str]:
    """Return the documents by their path below the services."""
    ports = " ".join(map(str, town.ports))
    texts = {"atlas/README.md": _text("atlas", ports=ports, port=town.ports[0])}
    rows = {"atlas": ports}
    for each in town.residents:
        if each.matters:
            own, port = (*each.ports, 0, 0)[0], (0, *each.ports)[-1]
            texts[f"{each.name}/README.md"] = _text(
                README[each.kind], name=each.name, own=own, port=port, spare=town.spare
            )
            rows[each.name] = " ".join(map(str, each.ports)) or "none"
    if "tide" in rows:
        rows["tide"] += f" or {town.spare}"
    if town.supervised:
        texts["keep/README.md"] = _text("keep")
        rows["keep"] = "none"
    table = "".join(f"| `{name}` | {ports} |\n" for name, ports in sorted(rows.items()))
    return {"README.md": _text("register", rows=table), **texts}


def _text(readme: str, **values: object) -> str:
    text = files(__package__).joinpath("readmes", f"{readme}.md").read_text()
    return Template(text).substitute(values, services=SERVICES)
