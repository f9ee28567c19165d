"""What KFP_CA_FILE, KFP_CERT_FILE and KFP_INSECURE mean, against a real server with certificates made here."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from server.connecting import kfp_client
from server.domain.errors import ConfigurationError, PlatformError
from server.settings import Settings

BODY = b'{"tag_name": "2.17.0"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(BODY), BODY)
pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificates")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`server.pem` for 127.0.0.1 and `client.pem`, each signed by itself, with its key."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("server", "client"):
        key, certificate = folder / f"{name}.key", folder / f"{name}.crt"
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-nodes", "-days", "2"),
                *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
                *("-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"),
                *("-keyout", str(key), "-out", str(certificate)),
            ],
            check=True,
            capture_output=True,
        )
        (folder / f"{name}.pem").write_text(certificate.read_text() + key.read_text())
    return folder


@asynccontextmanager
async def kubeflow(certificates: Path, *, wants_certificate: bool = False) -> AsyncIterator[str]:
    """A server that says how it is, over TLS."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(ANSWER)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates / "server.pem")
    if wants_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(certificates / "client.crt")
    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def asked(url: str, **given: Any) -> str:
    async def at_once(seconds: float) -> None:
        await asyncio.sleep(0)

    client = kfp_client(Settings(kfp_url=url, **given), lambda: datetime(2026, 1, 1, tzinfo=UTC))
    client._sleep = at_once
    try:
        return (await client.health()).text
    finally:
        await client.aclose()


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted_unless_it_is_named_or_nothing_is_checked(
    certificates: Path,
) -> None:
    async with kubeflow(certificates) as url:
        with pytest.raises(PlatformError, match="certificate verify failed"):
            await asked(url)
        with pytest.raises(PlatformError, match="certificate verify failed"):
            await asked(url, kfp_ca_file=certificates / "client.crt")
        assert await asked(url, kfp_ca_file=certificates / "server.crt") == "2.17.0"
        assert await asked(url, kfp_insecure=True) == "2.17.0"


async def test_a_certificate_is_shown_where_one_is_wanted(certificates: Path) -> None:
    async with kubeflow(certificates, wants_certificate=True) as url:
        with pytest.raises(PlatformError, match="does not answer"):
            await asked(url, kfp_ca_file=certificates / "server.crt")
        ours = certificates / "client.pem"
        assert await asked(url, kfp_ca_file=certificates / "server.crt", kfp_cert_file=ours) == "2.17.0"
        assert await asked(url, kfp_insecure=True, kfp_cert_file=ours) == "2.17.0"
        with pytest.raises(PlatformError, match="certificate verify failed"):
            await asked(url, kfp_cert_file=ours)


@pytest.mark.parametrize("setting", ["kfp_ca_file", "kfp_cert_file"])
async def test_a_file_that_cannot_be_used_is_named_with_its_setting(setting: str, tmp_path: Path) -> None:
    for file in (tmp_path / "none.pem", tmp_path / "broken.pem"):
        if file.stem == "broken":
            file.write_text("no certificate")
        with pytest.raises(ConfigurationError, match=f"{setting.upper()} {file} cannot be used"):
            await asked("https://127.0.0.1:1", **{setting: file})
