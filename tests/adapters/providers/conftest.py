"""Fixtures for the providers: the fake, over plain and over encrypted sockets."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from postroom.adapters.providers.transport import Transport
from tests.adapters.providers.wire import a_transport
from tests.fake_provider import FakeProvider
from tests.fake_smtp import FakeSmtp


@pytest.fixture
def fake() -> Iterator[FakeProvider]:
    with FakeProvider() as server:
        yield server


@pytest.fixture
def transport(fake: FakeProvider) -> Iterator[Transport]:
    found = a_transport(fake.url)
    yield found
    found.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Give a certificate of 127.0.0.1 that signs itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl command here to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec"),
            *("-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"),
            *("-keyout", key, "-out", cert, "-subj", "/CN=fake"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    return cert, key


@pytest.fixture
def secure_fake(certificate: tuple[Path, Path]) -> Iterator[FakeProvider]:
    cert, key = certificate
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with FakeProvider(tls=context) as server:
        yield server


@pytest.fixture
def trusting(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    """Give a client's context that trusts the fake's certificate."""
    return ssl.create_default_context(cafile=str(certificate[0]))


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Give a certificate authority that nobody knows."""
    return trustme.CA()


@pytest.fixture(scope="session")
def relay_tls(authority: trustme.CA) -> ssl.SSLContext:
    """Give a relay's context, with a certificate of 127.0.0.1."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def trusting_relay(authority: trustme.CA) -> ssl.SSLContext:
    """Give a client's context that trusts the relay's certificate."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def relay() -> Iterator[FakeSmtp]:
    with FakeSmtp() as fake:
        yield fake
