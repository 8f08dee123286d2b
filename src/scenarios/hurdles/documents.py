"""A hurdle that spoils what is read about how things are done."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from scenarios.errors import PrepareFailed
from scenarios.hurdles.protocol import Planted

if TYPE_CHECKING:
    from pathlib import PurePosixPath
    from random import Random

    from environments import Control
    from scenarios.site import Site

__all__ = ["WrongDocument"]

OLD = "Revision of 2027-11-04.\n\n"
NEW = "Revision of 2031-03-28. Older ones do not hold any more.\n\n"


@dataclass(frozen=True)
class WrongDocument:
    """Under a document's name lies an outdated one; the one that holds lies beside it under another name."""

    name: ClassVar[str] = "wrong-document"
    summary: ClassVar[str] = (
        "A document is outdated, and the one that holds lies beside it; a dose is one wrong number."
    )

    def fits(self, site: Site, /) -> bool:
        """Wherever documents tell of ports."""
        return bool(site.documents) and bool(_ports(site))

    async def plant(self, control: Control, site: Site, random: Random, dose: int, /) -> Planted:
        """Put an outdated version in a document's place, and that under a later name."""
        texts = {path: (await control.look(path) or b"").decode() for path in site.documents}
        told = {
            path: [n for n in _ports(site) if re.search(rf"\b{n}\b", text)] for path, text in texts.items()
        }
        document = max(told, key=lambda path: len(told[path]))
        if not told[document]:
            raise PrepareFailed(f"{document} tells of none of the world's ports")
        wrong = random.sample(told[document], min(dose, len(told[document])))
        numbers = dict(zip(wrong, random.sample(range(20_000, 29_000), len(wrong)), strict=True))
        pattern = re.compile(rf"\b(?:{'|'.join(map(str, wrong))})\b")
        outdated = pattern.sub(lambda found: str(numbers[int(found[0])]), texts[document])
        holding = document.with_name(f"{document.stem}-2031-03{document.suffix}")
        await control.move(document, holding)
        await control.plant(holding, (NEW + texts[document]).encode())
        await control.plant(document, (OLD + outdated).encode())
        unread = {path: await _times(control, path) for path in (document, holding)}

        async def touched(control: Control) -> bool:
            return await _times(control, document) != unread[document]

        async def repaired(control: Control) -> bool:
            """Whether the one that holds was read, or what was wrong stands in none any more."""
            if await _times(control, holding) != unread[holding]:
                return True
            if await _times(control, document) == unread[document]:
                return False
            now = (await control.look(document) or b"").decode(errors="replace")
            return all(str(number) not in now for number in numbers.values())

        return Planted(
            name=self.name,
            dose=len(wrong),
            where=f"{document} is outdated in {', '.join(map(str, wrong))}; {holding} holds",
            signs=tuple(rf"\b{number}\b" for number in numbers.values()),
            touched=touched,
            repaired=repaired,
            spoiled=frozenset({document}),
        )


def _ports(site: Site) -> list[int]:
    """Return the numbers that a document must have right: whom to ask, and where to listen."""
    asked = [each.port for each in site.services if each.port is not None and not each.own]
    return [*asked, *site.ports[:1]]


async def _times(control: Control, path: PurePosixPath) -> tuple[float, float] | None:
    """Return when a document was last read and last changed; None where it is gone."""
    facts = await control.walk(path, most=1)
    return (facts[0].accessed, facts[0].changed) if facts else None
