"""The certificates that the processes of a cluster show each other."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from distributed import Security

from daskingest.errors import UsageError
from daskingest.shared_options import HIGHEST_PORT

_ADDRESS = re.compile(r"(tcp|tls)://(\[[^\]]+\]|[^:/\[\]]+):(\d+)/?")
_MAKE_THEM = "`cluster/certificates.sh` makes them"


class WithTls(Protocol):
    """Settings that name certificates."""

    @property
    def tls_ca_file(self) -> str | None:
        """See `TlsCaFile`."""

    @property
    def tls_cert(self) -> str | None:
        """See `TlsCert`."""

    @property
    def tls_key(self) -> str | None:
        """See `TlsKey`."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Files in PEM: of the authority, and the certificate and the key of this process.

    What is not given is as Dask is configured, by `distributed.comm.tls`.
    """

    ca_file: str | None = None
    cert: str | None = None
    key: str | None = None

    @classmethod
    def of(cls, settings: WithTls) -> Tls:
        """Those that settings name."""
        return cls(settings.tls_ca_file, settings.tls_cert, settings.tls_key)

    @property
    def given(self) -> bool:
        """Whether any is given."""
        return bool(self.ca_file or self.cert or self.key)

    def protocol(self, role: str) -> str:
        """What to listen with in a role: `tls` if there are certificates for it, else `tcp`."""
        security = Security()
        configured = security.get_tls_config_for_role(role)
        return "tls" if self.given or (configured["cert"] and configured["ca_file"]) else "tcp"

    def security(self, address: str, role: str) -> Security:
        """What Dask needs to know to reach an address, or to listen there, as a client, scheduler
        or worker.

        Raises UsageError if the files and the address don't go together, or cannot be used.
        """
        found = _ADDRESS.fullmatch(address)
        if role != "scheduler" and (found is None or int(found[3]) > HIGHEST_PORT):
            raise UsageError(
                f"{address!r} is not the address of a Dask scheduler: expected tcp://HOST:PORT or "
                "tls://HOST:PORT, as `daskingest scheduler` logs it"
            )
        encrypted = address.startswith("tls://")
        if self.given and not encrypted:
            raise UsageError(
                f"{address} is not encrypted, but certificates are given: use an address with "
                "tls://, or leave out --tls-ca-file, --tls-cert and --tls-key"
            )
        files = {"tls_ca_file": self.ca_file, "cert": self.cert, "key": self.key}
        given = {
            (name if name == "tls_ca_file" else f"tls_{role}_{name}"): value
            for name, value in files.items()
            if value is not None
        }
        security = Security(**given)
        if encrypted:
            _check(address, **security.get_tls_config_for_role(role))
        return security


NO_TLS = Tls()


def _check(
    address: str, ca_file: str | None, cert: str | None, key: str | None, ciphers: str | None
) -> None:
    """Raise UsageError unless these files can be used. A text of more lines is itself in PEM."""
    files = {"--tls-ca-file": ca_file, "--tls-cert": cert, "--tls-key": key}
    needed = ("--tls-ca-file", "--tls-cert")  # the key may be in the certificate's file
    if missing := [name for name in needed if not files[name]]:
        lacking = " and ".join(missing)
        raise UsageError(f"{address} needs certificates: give {lacking}; {_MAKE_THEM}")
    for name, path in files.items():
        try:
            if path and "\n" not in path:
                Path(path).read_bytes()
        except OSError as error:
            raise UsageError(
                f"cannot read the file of {name}, {path}: {error.strerror}; {_MAKE_THEM}"
            ) from None
    assert ca_file is not None and cert is not None
    if "\n" not in ca_file:
        _check_authority(ca_file)
    if "\n" not in cert and "\n" not in (key or ""):
        _check_own(cert, key)


def _check_authority(path: str) -> None:
    try:
        ssl.create_default_context(cafile=path)
    except ssl.SSLError:
        raise UsageError(
            f"the file of --tls-ca-file, {path}, has no certificate in PEM "
            f"(-----BEGIN CERTIFICATE-----); {_MAKE_THEM}"
        ) from None


def _check_own(cert: str, key: str | None) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(cert, key, password="")  # else it would be asked for
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UsageError(
                f"the key of --tls-key, {key}, is not that of the certificate of --tls-cert, "
                f"{cert}: name the two that were made together"
            ) from None
        raise UsageError(
            f"expected a certificate in PEM in the file of --tls-cert, {cert}, and its key, in PEM "
            f"and without a password, in that of --tls-key, {key or cert}; {_MAKE_THEM}"
        ) from None
