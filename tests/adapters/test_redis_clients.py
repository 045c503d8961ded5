"""The Redis clients: how long they wait, how often they try, whom they trust."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import pytest
import redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from postroom.adapters.redis_clients import (
    beats_client,
    breaker_client,
    broker_client,
    hints_client,
    looks_client,
)
from postroom.adapters.settings import Settings
from tests.servers import a_redis

ClientOf = Callable[[Settings], redis.Redis]

CLIENTS = [broker_client, hints_client, breaker_client, beats_client, looks_client]


def settings_for(url: str, **more: str) -> Settings:
    return Settings.from_env({"REDIS_URL": url, **more})


@contextmanager
def a_listener(*, backlog: int = 8) -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        yield listener


def address_of(listener: socket.socket) -> str:
    return f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("client_of", CLIENTS)
@pytest.mark.parametrize("bound", ["", "2"], ids=["unbounded", "bounded"])
def test_each_client_talks_to_a_real_server(
    redis_url: str, client_of: ClientOf, bound: str
) -> None:
    settings = settings_for(redis_url, POSTROOM_REDIS_MAX_CONNECTIONS=bound)

    with client_of(settings) as client:
        assert client.ping()


def test_more_threads_than_the_clients_default_of_connections_are_served(
    redis_url: str,
) -> None:
    with breaker_client(settings_for(redis_url)) as client:
        pool = client.connection_pool
        connections = [pool.get_connection() for _ in range(150)]

        assert all(connection.is_connected for connection in connections)

        for connection in connections:
            pool.release(connection)


def test_a_full_pool_makes_others_wait_and_then_fails(redis_url: str) -> None:
    settings = settings_for(redis_url, POSTROOM_REDIS_MAX_CONNECTIONS="1")

    with hints_client(settings) as client:
        connection = client.connection_pool.get_connection()
        with pytest.raises(RedisConnectionError):
            client.ping()
        client.connection_pool.release(connection)

        assert client.ping()


@pytest.mark.parametrize(
    "client_of", [hints_client, breaker_client, beats_client, looks_client]
)
def test_a_server_that_never_answers_is_given_up_soon_and_asked_once(
    client_of: ClientOf,
) -> None:
    with a_listener() as listener:
        # What the URL asks for must not win.
        url = f"redis://{address_of(listener)}?socket_timeout=60"
        started = time.monotonic()

        with client_of(settings_for(url)) as client, pytest.raises(RedisError):
            client.ping()

        assert time.monotonic() - started < 5
        listener.setblocking(False)
        listener.accept()[0].close()
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.parametrize("client_of", CLIENTS)
def test_a_server_that_is_away_is_told_at_once(client_of: ClientOf) -> None:
    with a_listener() as listener:
        url = f"redis://{address_of(listener)}"
    started = time.monotonic()

    with client_of(settings_for(url)) as client, pytest.raises(RedisConnectionError):
        client.ping()

    assert time.monotonic() - started < 5


def test_a_connection_that_died_in_the_pool_costs_no_command(tmp_path: Path) -> None:
    server = a_redis(tmp_path)
    with server, broker_client(settings_for(server.url)) as client:
        client.ping()
        server.restart()

        assert client.ping()


@pytest.fixture
def tls_url(tmp_path: Path) -> Iterator[str]:
    """Give the URL of a server with a self-signed certificate that says PONG."""
    if which("openssl") is None:
        pytest.skip("no openssl here to make a certificate with")
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    request = "openssl req -x509 -newkey rsa:2048 -nodes -days 2"
    subject = ("-subj", "/CN=elsewhere.example")
    subprocess.run(
        [*request.split(), *subject, "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as connection:
                    while asked := connection.recv(4096):
                        commands = asked.count(b"*")
                        pong = b"PING" in asked
                        connection.sendall(
                            b"+PONG\r\n" if pong else b"+OK\r\n" * commands
                        )
            except OSError:
                continue

    with a_listener() as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield f"rediss://{address_of(listener)}?protocol=2"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)


def test_a_certificate_that_nobody_vouches_for_is_refused(tls_url: str) -> None:
    refused = pytest.raises(RedisConnectionError, match="certificate verify failed")

    with broker_client(settings_for(tls_url)) as client, refused:
        client.ping()


@pytest.mark.parametrize("client_of", CLIENTS)
def test_it_is_taken_when_the_operator_says_so(
    tls_url: str, client_of: ClientOf
) -> None:
    settings = settings_for(tls_url, POSTROOM_REDIS_TLS_VERIFY="false")

    with client_of(settings) as client:
        assert client.ping()
