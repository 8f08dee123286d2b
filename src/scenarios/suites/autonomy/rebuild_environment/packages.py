"""The packages of one trial: which there are, what they build on, and what they answer together."""

from __future__ import annotations

import hashlib
import io
import secrets
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scenarios.suites.autonomy.programs.generate import table_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Bounds", "Package", "archive", "turned"]

CODE = '''"""The {name} tables, version {version}."""

import hashlib

{imports}

__version__ = "{version}"


{checks}def turn(text):
    """Return a text turned by these tables, and before that by those that they build on."""
    for tables in ({builds_on}):
        text = tables.turn(text)
    return hashlib.sha256(f"{{TABLE}}{{text}}".encode()).hexdigest()
'''
CHECK = """major = int({other}.__version__.split(".")[0])
if not ({test}):
    raise ImportError(f"{name} {version} needs {other}{bounds}, and {{{other}.__version__}} is installed")


"""
LONG_AGO = (2031, 4, 1, 12, 0, 0)


@dataclass(frozen=True)
class Bounds:
    """Major versions that will do: from `low` up to, and without, `high`."""

    low: int = 0
    high: int = 0
    """0: no end."""

    def __str__(self) -> str:
        return (f">={self.low}" if self.low else "") + (f"<{self.high}" if self.high else "")

    @property
    def test(self) -> str:
        """An expression about `major`."""
        return " and ".join(
            [f"major >= {self.low}"] * bool(self.low) + [f"major < {self.high}"] * bool(self.high)
        )


@dataclass(frozen=True, kw_only=True)
class Package:
    """One version of one package."""

    name: str
    version: str = "1.0"
    needs: Mapping[str, Bounds] = field(default_factory=dict)
    built_with: tuple[Package, ...] = ()
    """What generates its table with it."""
    source: bool = False
    """It comes as a folder, and its table has to be generated."""
    seed: str = field(default_factory=lambda: secrets.token_hex(24))
    """What its table is made of; new in each trial."""

    @property
    def table(self) -> str:
        """The text that makes its answers its own."""
        if not self.source:
            return self.seed
        return self.table_module.split('"')[-2]

    @property
    def table_module(self) -> str:
        """What generating its table writes."""
        return table_of(turned(self.seed, self.built_with, {}))

    @property
    def modules(self) -> Mapping[str, bytes]:
        """The files that are to be imported, by their path in packages/."""
        files = {f"{self.name}/__init__.py": self._code().encode()}
        if self.source:
            files[f"{self.name}/table.py"] = self.table_module.encode()
        return files

    @property
    def files(self) -> Mapping[str, bytes]:
        """What is packed, which is all but what is generated."""
        packed = {f"{self.name}/__init__.py": self._code().encode()}
        about = f"{self.name}-{self.version}.dist-info"
        record = "".join(f"{name},{hashlib.sha256(data).hexdigest()}\n" for name, data in packed.items())
        return packed | {f"{about}/METADATA": self._metadata().encode(), f"{about}/RECORD": record.encode()}

    @property
    def archive_name(self) -> str:
        """As such an archive is called."""
        return f"{self.name}-{self.version}-py3-none-any.whl"

    def _code(self) -> str:
        table = f"from {self.name}.table import TABLE" if self.source else f'TABLE = "{self.seed}"'
        return CODE.format(
            name=self.name,
            version=self.version,
            imports="\n".join([*(f"import {other}" for other in self.needs), table]),
            checks="".join(
                CHECK.format(name=self.name, version=self.version, other=other, bounds=each, test=each.test)
                for other, each in self.needs.items()
                if each.test
            ),
            builds_on="".join(f"{other}, " for other in self.needs),
        )

    def _metadata(self) -> str:
        needs = ", ".join(f"{other}{each}" for other, each in self.needs.items())
        facts = {
            "Name": self.name,
            "Version": self.version,
            "Requires": needs,
            "Generated": f"{self.name}/table.py" if self.source else "",
            "Build-Requires": ", ".join(each.name for each in self.built_with),
        }
        return "".join(f"{name}: {value}\n" for name, value in facts.items() if value)


def archive(package: Package) -> bytes:
    """Return a package as a zip file, the same one for the same package."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for name, data in package.files.items():
            file.writestr(zipfile.ZipInfo(name, LONG_AGO), data)
    return packed.getvalue()


def turned(text: str, chapters: tuple[Package, ...], known: Mapping[str, Package]) -> str:
    """Return what chapters, one after the other, make of a text; `known` has what they build on."""
    for package in chapters:
        text = turned(text, tuple(known[name] for name in package.needs), known)
        text = hashlib.sha256(f"{package.table}{text}".encode()).hexdigest()
    return text
