"""Images: what they are made from, and that one that is not what was built is not used."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from environments import Unavailable
from environments.vm import VirtualMachine
from environments.vm.build import Build
from environments.vm.images import FILES, all_images, find_image, sha256, verify
from environments.vm.sources import sources_at, sources_of_host
from environments.vm.variants import VARIANTS, recipe

if TYPE_CHECKING:
    from pathlib import Path

    from environments.vm.images import Image

pytestmark = pytest.mark.anyio

SOURCES = """\
Types: deb
# a comment
URIs: http://deb.debian.org/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://deb.debian.org/debian-security
Suites: bookworm-security
Components: main contrib

Types: deb
Enabled: no
URIs: http://example.org/debian
Suites: bookworm
Components: main
"""
OTHERS = """\
deb [arch=amd64 signed-by=/keys/docker.gpg] https://example.org/docker bookworm stable
deb https://example.org/node nodistro main
deb-src http://deb.debian.org/debian bookworm main
deb [signed-by=/keys/near.gpg] http://near.example.org/debian bookworm main contrib # near
"""


def folder_like(image: Image, folder: Path) -> Path:
    """A folder with small files and a manifest that fits them."""
    folder.mkdir(parents=True)
    fields = json.loads((image.folder / "manifest.json").read_text())
    for name in FILES:
        (folder / name).write_bytes(name.encode() * 100)
        fields["digests"][name] = sha256(folder / name)
    (folder / "manifest.json").write_text(json.dumps(fields))
    return folder


async def test_a_manifest_says_what_the_image_is(image: Image) -> None:
    await verify(image)
    assert image.packages["openssh-server"].startswith("1:")
    assert {"python3", "linux-image-cloud-amd64"} <= image.packages.keys()
    assert image.host_key.startswith("ssh-ed25519 ")
    assert image.recipe == recipe(VARIANTS["minimal"])
    assert image.agent_key.stat().st_mode & 0o777 == 0o600
    assert image.file("disk.qcow2").stat().st_mode & 0o777 == 0o600
    assert sha256(image.file("kernel")) == image.digests["kernel"]
    assert "debian" in image.sources


async def test_a_file_is_read_again_when_it_was_touched(image: Image, tmp_path: Path) -> None:
    copy = find_image(str(folder_like(image, tmp_path / "copy")))
    await verify(copy)
    seen = (copy.folder / "seen.json").read_text()
    os.utime(copy.file("kernel"))
    await verify(copy)
    assert (copy.folder / "seen.json").read_text() != seen


@pytest.mark.parametrize("name", FILES)
async def test_a_changed_image_is_refused(image: Image, tmp_path: Path, name: str) -> None:
    folder = folder_like(image, tmp_path / "copy")
    await verify(find_image(str(folder)))
    changed = bytearray((folder / name).read_bytes())
    changed[50] ^= 1
    (folder / name).write_bytes(bytes(changed))
    for _ in range(2):
        with pytest.raises(Unavailable, match=f"the SHA-256 of {name} is") as raised:
            async with VirtualMachine(image=str(folder), accel="tcg").open(label="test", seed=0):
                pass
        assert f"run `redline vm build minimal --out {folder} --force`" in str(raised.value)
    (folder / name).unlink()
    with pytest.raises(Unavailable, match=f"{name} cannot be read: No such file"):
        await verify(find_image(str(folder)))


async def test_an_image_of_another_recipe_is_refused(image: Image, tmp_path: Path) -> None:
    folder = folder_like(image, tmp_path / "copy")
    manifest = folder / "manifest.json"
    manifest.write_text(manifest.read_text().replace(image.recipe, "0" * 64))
    with pytest.raises(Unavailable, match="built by another version of redline; run `redline vm build"):
        find_image(str(folder))


def test_a_missing_image_is_named_with_the_mend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDLINE_IMAGES", str(tmp_path / "images"))
    assert all_images() == []
    with pytest.raises(Unavailable, match="there is no image minimal; run `redline vm build minimal`"):
        find_image("minimal")
    (tmp_path / "images/minimal").mkdir(parents=True)
    (tmp_path / "images/minimal/manifest.json").write_text("{ not a manifest")
    with pytest.raises(Unavailable, match="there is no image minimal"):
        find_image("minimal")


@pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap is not installed")
async def test_an_interrupted_build_leaves_nothing(tmp_path: Path) -> None:
    build = Build(variant=VARIANTS["minimal"], out=tmp_path / "images/minimal")
    for delay in (0.3, 3.0):
        building = asyncio.create_task(build.run(tell=lambda _: None))
        await asyncio.sleep(delay)
        building.cancel()
        await asyncio.wait({building})
        assert building.cancelled()
        assert list((tmp_path / "images").iterdir()) == []


@pytest.mark.skipif(shutil.which("mmdebstrap") is None, reason="mmdebstrap is not installed")
async def test_a_build_that_fails_says_why_and_leaves_nothing(tmp_path: Path) -> None:
    sources = sources_at("http://127.0.0.1:9/debian", "bookworm")
    build = Build(variant=VARIANTS["minimal"], out=tmp_path / "images/minimal", sources=sources)
    with pytest.raises(Unavailable, match="the image could not be built: mmdebstrap: E: ") as raised:
        await build.run(tell=lambda _: None)
    assert "\n" not in str(raised.value)
    assert list((tmp_path / "images").iterdir()) == []
    (tmp_path / "images/minimal").mkdir()
    with pytest.raises(Unavailable, match="is there and is no image"):
        await build.run(tell=lambda _: None)


def test_sources_are_the_hosts_own_and_debians(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d/debian.sources").write_text(SOURCES)
    (tmp_path / "sources.list.d/others.list").write_text(OTHERS)
    (tmp_path / "os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    found = sources_of_host(tmp_path, tmp_path / "os-release")
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert found.text(["main", "non-free"]).splitlines() == [
        f"deb [signed-by={keyring}] http://deb.debian.org/debian bookworm main non-free",
        f"deb [signed-by={keyring}] http://deb.debian.org/debian bookworm-updates main non-free",
        f"deb [signed-by={keyring}] http://deb.debian.org/debian-security bookworm-security main non-free",
        "deb [signed-by=/keys/near.gpg] http://near.example.org/debian bookworm main non-free",
    ]


def test_a_host_without_debian_is_told_to_name_a_mirror(tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text("ID=fedora\nVERSION_CODENAME=\n")
    with pytest.raises(Unavailable, match="not Debian's; run `redline vm build --mirror"):
        sources_of_host(tmp_path, tmp_path / "os-release")
    (tmp_path / "os-release").write_text("ID=debian\nVERSION_CODENAME=trixie\n")
    (tmp_path / "sources.list").write_text(OTHERS)
    with pytest.raises(Unavailable, match="no package source for trixie is configured"):
        sources_of_host(tmp_path, tmp_path / "os-release")


def test_the_gpu_variant_is_described_by_the_same_plan() -> None:
    build = Build(variant=VARIANTS["gpu"], sources=sources_at("http://deb.debian.org/debian", "bookworm"))
    assert "main contrib non-free non-free-firmware" in build.sources_text()
    bootstrap, *_ = build.plan()
    text = " ".join(bootstrap)
    assert "nvidia-driver" in text
    assert "pip install --no-cache-dir" in text
    assert text.index("pip install") < text.index("sh /usr/lib/redline/customize")


def test_a_variant_of_ones_own_has_a_recipe_of_its_own(tmp_path: Path) -> None:
    mine = replace(VARIANTS["minimal"], name="mine", commands=("true",))
    assert recipe(mine) != recipe(VARIANTS["minimal"])
    assert 'chroot "$1" sh -c true' in " ".join(Build(variant=mine, out=tmp_path).plan()[0])
