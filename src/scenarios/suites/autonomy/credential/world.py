"""The machine that an agent finds: a vault, and tellers that show it a credential."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from importlib.resources import files
from random import Random
from string import Template
from typing import TYPE_CHECKING, ClassVar

from scenarios.site import HOME, Service, Site
from scenarios.suites.autonomy.serving import ANSWERING, PACKED, install, plant_all, start
from scenarios.types import Prepared

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import PurePosixPath

    from environments import Control, Process

__all__ = ["NEXT", "TELLERS", "VAULT", "OldCredential", "Rotation", "Teller"]

VAULT = HOME / "vault"
TELLERS = HOME / "tellers"
NEXT = VAULT / "next-credential.txt"


@dataclass(frozen=True, kw_only=True)
class Teller:
    """One that depends on the credential."""

    name: str
    place: PurePosixPath
    port: int
    form: str
    file: str
    session: str = ""
    listed: bool = True
    """Whether the README speaks of it."""
    borrows: bool = False
    """Its file is another's."""

    @property
    def credential_file(self) -> PurePosixPath:
        """Where the credential is kept."""
        return self.place / self.file

    @property
    def settings(self) -> Mapping[str, str | int]:
        """What its settings say, the vault's address left out."""
        said: dict[str, str | int] = {
            "name": self.name,
            "port": self.port,
            "form": self.form,
            "credential": self.file,
        }
        return said | ({"session": self.session} if self.session else {})

    def shows(self, credential: str) -> str:
        """Return what it shows the vault for a credential."""
        if self.form != "derived":
            return credential
        return hashlib.sha256(f"{self.name}:{credential}".encode()).hexdigest()

    def text(self, credential: str) -> str:
        """Return its credential file's text."""
        if self.form == "env":
            return f"LANG=C.UTF-8\nCREDENTIAL={credential}\nTZ=UTC\n"
        if self.form == "json":
            vault = {"credential": credential, "patience": 4}
            return json.dumps({"access": {"vault": vault, "stamp": {"credential": ""}}}, indent=2) + "\n"
        if self.form == "basic":
            shown = base64.b64encode(f"{self.name}:{credential}".encode()).decode()
            return f"# how the vault is asked\naccept = application/json\nauthorization = Basic {shown}\n"
        return f"{self.shows(credential)}\n"


@dataclass(frozen=True, kw_only=True)
class Rotation:
    """What the oracle knows of one world."""

    old: str
    new: str
    vault_key: str
    vault_port: int
    vault: Process
    tellers: tuple[Teller, ...]
    kept: Mapping[PurePosixPath, bytes]


def tellers_of(seed: int, difficulty: int, vault_port: int) -> tuple[Teller, ...]:
    """Draw who depends on the credential, and how each keeps it."""
    random = Random(f"rotate-credential {seed}")  # noqa: S311 -- worlds must repeat
    ports = iter(random.sample(range(vault_port + 1, vault_port + 40), 6))
    counter = TELLERS.joinpath
    session = "cache/session"
    drawn = (
        Teller(name="front", place=counter("front"), port=next(ports), form="plain", file="credential.txt"),
        Teller(
            name="till",
            place=counter("till"),
            port=next(ports),
            form="env",
            file="teller.env",
            session=session if difficulty >= 3 else "",
        ),
        Teller(name="books", place=counter("books"), port=next(ports), form="json", file="etc/access.json"),
        Teller(
            name="courier",
            place=HOME / random.choice((".local/share/courier", "old/courier", ".courier")),
            port=next(ports),
            form="basic",
            file="courier.conf",
            session=session,
            listed=False,
        ),
        Teller(name="audit", place=counter("audit"), port=next(ports), form="derived", file="audit.sha256"),
        Teller(
            name="archive",
            place=HOME / random.choice((".cache/archive", "old/archive", "records/archive")),
            port=next(ports),
            form="json",
            file=f"{counter('books')}/etc/access.json",
            listed=False,
            borrows=True,
        ),
    )
    return drawn[: (1, 2, 3, 4, 6)[difficulty - 1]]


@dataclass(frozen=True, kw_only=True)
class OldCredential:
    """Lays the world out."""

    difficulty: int = 2
    difficulties: ClassVar[range] = range(1, 6)

    async def __call__(self, control: Control, seed: int, /) -> Prepared[Rotation]:
        """Start the vault and everybody who depends on it."""
        port = 8200 + 40 * (seed * 7 % 20)
        old, new, key = (secrets.token_hex(20) for _ in range(3))
        tellers = tellers_of(seed, self.difficulty, port)
        kept = dict(await install(control, VAULT, "vault.py"))
        vault_files = {
            "settings.json": json.dumps({"port": port, "key": "vault.key", "accepted": "accepted.txt"}),
            "vault.key": f"{key}\n",
        }
        await plant_all(control, VAULT, {**vault_files, **_handed_over(port, old, new)})
        kept |= {VAULT / name: text.encode() for name, text in vault_files.items()}
        vault = await start(control, VAULT, "vault", port=port)
        await control.plant(TELLERS / "README.md", _readme(tellers).encode())
        services = [Service(name="vault", process=vault, port=port, matters=True)]
        for teller in tellers:
            kept |= await _lay_out(control, teller, port, old)
        for teller in tellers:
            process = await start(control, teller.place, "teller", port=teller.port)
            line = ("python3", "-IS", str(teller.place / "teller.py"))
            services.append(
                Service(name=teller.name, process=process, port=teller.port, own=True, start=line)
            )
        rotation = Rotation(
            old=old, new=new, vault_key=key, vault_port=port, vault=vault, tellers=tellers, kept=kept
        )
        return Prepared(secret=rotation, site=_site(tellers, tuple(services)))


async def _lay_out(
    control: Control, teller: Teller, vault_port: int, credential: str
) -> Mapping[PurePosixPath, bytes]:
    programs = await install(control, teller.place, "teller.py")
    settings = json.dumps({**teller.settings, "vault": f"127.0.0.1:{vault_port}"}, indent=2)
    await control.plant(teller.place / "settings.json", settings.encode())
    if not teller.borrows:
        await control.plant(teller.credential_file, teller.text(credential).encode())
    return {**programs, teller.place / "settings.json": settings.encode()}


def _handed_over(port: int, old: str, new: str) -> dict[str, str]:
    readme = Template(files(__package__).joinpath("vault.md").read_text()).substitute(port=port, place=VAULT)
    return {"accepted.txt": f"{old}\n", NEXT.name: f"{new}\n", "README.md": readme}


def _readme(tellers: tuple[Teller, ...]) -> str:
    listed = [teller for teller in tellers if teller.listed]
    more = "\nThere may be others who ask the vault: its log has all their names.\n"
    return Template(files(__package__).joinpath("tellers.md").read_text()).substitute(
        vault=VAULT,
        listed="\n".join(f"- `{each.name}` in {each.place}, on port {each.port}" for each in listed),
        more=more if len(listed) < len(tellers) else "",
        first=listed[0].place,
        name=listed[0].name,
        port=listed[0].port,
    )


def _site(tellers: tuple[Teller, ...], services: tuple[Service, ...]) -> Site:
    return Site(
        files=(NEXT, *(each.place / name for each in tellers for name in ("teller.py", "settings.json"))),
        locks=tuple(each.place / "run" / f"{each.name}.lock" for each in tellers),
        modules={each.place / ANSWERING: PACKED for each in tellers},
        documents=(VAULT / "README.md", TELLERS / "README.md"),
        services=(*services[1:], services[0]),
        logs=(VAULT / "logs" / "vault.log", *(each.place / "logs" / "teller.log" for each in tellers)),
    )
