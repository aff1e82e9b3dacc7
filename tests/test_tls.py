"""What is said of certificates that cannot be used: real ones, and listeners that have them."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dask
import pytest
from clusters import certificates
from program import free_port

from daskingest.errors import UsageError
from daskingest.pipeline.reaching import why_unreached
from daskingest.pipeline.tls import NO_TLS, Tls

ADDRESS = "tls://127.0.0.1:8786"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of `one` and `two`, of one authority, and of a stranger."""
    folder = tmp_path_factory.mktemp("tls")
    certificates(folder, "one", "two")
    certificates(folder / "elsewhere", "stranger")
    (folder / "text.pem").write_text("no certificate")
    return folder


def tls(folder: Path, ca: str = "ca.pem", cert: str = "one.pem", key: str = "one-key.pem") -> Tls:
    return Tls(*(str(folder / each) for each in (ca, cert, key)))


def test_what_is_right_is_used_for_the_role(folder: Path) -> None:
    files = tls(folder).security(ADDRESS, "worker").get_tls_config_for_role("worker")
    assert files["cert"] == str(folder / "one.pem")
    assert NO_TLS.security("tcp://127.0.0.1:8786", "client").require_encryption is False


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"ca": "none.pem"}, "cannot read the file of --tls-ca-file, .*none.pem: No such file"),
        ({"cert": "none.pem"}, "cannot read the file of --tls-cert, .*none.pem: No such file"),
        ({"key": "."}, "cannot read the file of --tls-key, .*: Is a directory"),
        ({"ca": "text.pem"}, "--tls-ca-file, .*text.pem, has no certificate in PEM"),
        ({"cert": "text.pem"}, "expected a certificate in PEM in the file of --tls-cert, .*text"),
        ({"key": "text.pem"}, "and its key, .* in that of --tls-key, .*text.pem"),
        ({"key": "two-key.pem"}, "the key of --tls-key, .*two-key.pem, is not that of .*one.pem"),
    ],
)
def test_what_cannot_be_used_is_named(folder: Path, given: dict[str, str], expected: str) -> None:
    with pytest.raises(UsageError, match=expected):
        tls(folder, **given).security(ADDRESS, "client")


def test_address_and_certificates_go_together(folder: Path) -> None:
    with pytest.raises(UsageError, match="needs certificates: give --tls-ca-file and --tls-cert"):
        NO_TLS.security(ADDRESS, "client")
    with pytest.raises(UsageError, match="needs certificates: give --tls-cert; "):
        Tls(ca_file=str(folder / "ca.pem")).security(ADDRESS, "client")
    with pytest.raises(UsageError, match="is not encrypted, but certificates are given"):
        tls(folder).security("tcp://127.0.0.1:8786", "client")


def test_dask_s_own_configuration_is_used(folder: Path) -> None:
    prefix = "distributed.comm.tls"
    configured = {f"{prefix}.ca-file": str(folder / "ca.pem")}
    configured |= {f"{prefix}.client.cert": str(folder / "two.pem")}
    configured |= {f"{prefix}.client.key": str(folder / "two-key.pem")}
    with dask.config.set(configured):
        files = NO_TLS.security(ADDRESS, "client").get_tls_config_for_role("client")
        assert files["cert"] == str(folder / "two.pem")
        with pytest.raises(UsageError, match="needs certificates: give --tls-cert"):
            NO_TLS.security(ADDRESS, "worker")
        assert NO_TLS.protocol("scheduler") == "tcp"
        given = tls(folder).security(ADDRESS, "client").get_tls_config_for_role("client")
        assert given["cert"] == str(folder / "one.pem")


@contextmanager
def listener(files: Tls | None, hello: bytes = b"") -> Iterator[int]:
    """What accepts connections there, with TLS if it has files; else it says hello."""
    context = None
    if files is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files.ca_file)
        assert files.cert is not None
        context.load_cert_chain(files.cert, files.key)
        context.verify_mode = ssl.CERT_REQUIRED

    def serve() -> None:
        while True:
            try:
                accepted, _ = server.accept()
                with context.wrap_socket(accepted, server_side=True) if context else accepted as s:
                    s.sendall(hello)
                    s.recv(1)
            except ssl.SSLError:
                continue
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


def why(address: str, files: Tls) -> str:
    return why_unreached(address, files.security(address, "client"), "as Dask said")


def test_a_scheduler_with_certificates_asked_without(folder: Path) -> None:
    with listener(tls(folder)) as port:
        found = why(f"tcp://127.0.0.1:{port}", NO_TLS)
        assert found.startswith(f"it is encrypted: use tls://127.0.0.1:{port}, with --tls-ca-file")


def test_a_scheduler_without_certificates_asked_with_them(folder: Path) -> None:
    with listener(None, hello=b"\0" * 64) as port:  # Dask's begin with a length
        found = why(f"tls://127.0.0.1:{port}", tls(folder))
    assert found.startswith(f"what listens there is not encrypted: use tcp://127.0.0.1:{port}")


def test_certificates_that_are_not_trusted(folder: Path) -> None:
    elsewhere = folder / "elsewhere"
    stranger = tls(elsewhere, cert="stranger.pem", key="stranger-key.pem")
    with listener(tls(folder)) as port:
        address = f"tls://127.0.0.1:{port}"
        assert why(address, tls(folder)) == "as Dask said"
        assert why(address, stranger).startswith("its certificate is not trusted here: ")
        both = Tls(str(folder / "ca.pem"), stranger.cert, stranger.key)
        found = why(address, both)
    assert found.startswith("it does not trust the certificate of this process, ")
    assert "(unknown ca)" in found


def test_nobody_there_and_no_address() -> None:
    assert why(f"tcp://127.0.0.1:{free_port()}", NO_TLS).startswith("Connection refused; check")
    for text in (
        "nonsense",
        "127.0.0.1:8786",
        "http://127.0.0.1:8786",
        "tcp://127.0.0.1",
        "tcp://a:65536",
    ):
        with pytest.raises(UsageError, match="expected tcp://HOST:PORT or tls://HOST:PORT"):
            NO_TLS.security(text, "client")
    for text in ("tcp://one.example:8786", "tcp://[::1]:8786", "tcp://10.0.0.1:8786"):
        NO_TLS.security(text, "worker")


def test_something_else_there() -> None:
    with listener(None, hello=b"HTTP/1.1 400\r\n") as port:
        assert "is no Dask scheduler" in why(f"tcp://127.0.0.1:{port}", NO_TLS)
