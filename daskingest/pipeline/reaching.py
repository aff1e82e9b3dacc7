"""Finds out why no cluster could be reached at an address, when Dask only says that it wasn't."""

from __future__ import annotations

import socket
import ssl

from distributed import Security
from distributed.comm.addressing import get_address_host_port

_SECONDS = 3.0
"""For a connection, and for what the other side says first."""


def why_unreached(address: str, security: Security, otherwise: str, role: str = "client") -> str:
    """What is wrong at an address that Dask could not connect to, and what to do about it.

    Blocks for some seconds. `otherwise` is what Dask said.
    """
    start = "start one with `daskingest scheduler`"
    try:
        host, port = get_address_host_port(address, strict=True)
    except ValueError as error:
        return f"{error}; expected an address like tcp://HOST:8786; {start}"
    try:
        with socket.create_connection((host, port), _SECONDS) as plain:
            plain.settimeout(_SECONDS)
            if address.startswith("tls://"):
                found = _ask_encrypted(plain, address, security, role)
            else:
                found = _ask_plainly(plain, address)
    except OSError as error:
        reason = error.strerror or str(error)
        reach = "check that it runs, and that a firewall lets this machine reach it"
        return f"{reason}; {reach}, or {start}"
    return found or otherwise


def _ask_plainly(plain: socket.socket, address: str) -> str:
    """Whether what listens there speaks TLS: it answers with a handshake, or an alert of one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with context.wrap_socket(plain) as encrypted:
            encrypted.do_handshake()
    except ssl.SSLError as error:
        if "ALERT" not in (error.reason or ""):
            return "what listens there is no Dask scheduler"
    except OSError:
        return "what listens there is no Dask scheduler"
    encrypted_address = address.replace("tcp://", "tls://")
    return f"it is encrypted: use {encrypted_address}, with --tls-ca-file, --tls-cert and --tls-key"


def _ask_encrypted(plain: socket.socket, address: str, security: Security, role: str) -> str:
    """What goes wrong between the certificates here and those there; empty if nothing does."""
    files = security.get_tls_config_for_role(role)
    context: ssl.SSLContext = security.get_connection_args(role)["ssl_context"]
    try:
        with context.wrap_socket(plain) as encrypted:
            encrypted.recv(1)  # only now the other side may say that it doesn't trust us
    except ssl.SSLCertVerificationError as error:
        return (
            f"its certificate is not trusted here: {error.verify_message}; --tls-ca-file, here "
            f"{files['ca_file']}, must be that of the authority that signed the cluster's"
        )
    except ssl.SSLError as error:
        if "ALERT" in (error.reason or ""):
            alert = (error.reason or "").partition("ALERT_")[2].replace("_", " ").lower()
            return (
                f"it does not trust the certificate of this process, {files['cert']} ({alert}): "
                "use one of the authority that signed the cluster's"
            )
        plainly = address.replace("tls://", "tcp://")
        return (
            f"what listens there is not encrypted: use {plainly}, or start the scheduler with "
            "--tls-ca-file, --tls-cert and --tls-key"
        )
    except TimeoutError:
        return ""
    return ""
