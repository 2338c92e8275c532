"""Which authorities a server's certificate may come from, and why a handshake failed."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from olmes.errors import OlmesError

if TYPE_CHECKING:
    import ssl

BUNDLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "UNKNOWN_PROTOCOL",
          "UNEXPECTED_EOF_WHILE_READING", "PACKET_LENGTH_TOO_LONG")  # fmt: skip
"""OpenSSL's words where the other end does not speak TLS."""


@cache
def certificates() -> ssl.SSLContext:
    """The system's authorities and Mozilla's list, and the bundles that the environment names.

    Raises:
        OlmesError: a bundle is not there, or holds no certificate.
    """
    import ssl

    import certifi  # comes with requests

    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    for variable in BUNDLES:
        if not (bundle := os.environ.get(variable)):
            continue
        path = Path(bundle)
        try:
            if path.is_dir():
                context.load_verify_locations(capath=bundle)
            else:
                context.load_verify_locations(bundle)
        except FileNotFoundError:
            raise OlmesError(
                f"${variable} names {bundle}, and there is no such file; name a CA bundle, or unset it."
            ) from None
        except (OSError, ssl.SSLError) as error:
            raise OlmesError(
                f"${variable} names {bundle}, which is no CA bundle ({type(error).__name__}); name "
                "one, or unset it."
            ) from None
    return context


def why_not(error: BaseException) -> str:
    """A network error in the system's words; a failed handshake in ours.

    The number of an `SSLError` is OpenSSL's own, and means something else to the system.
    """
    import ssl

    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        if reason in NO_TLS or isinstance(error, ssl.SSLEOFError):
            return "what answers there does not speak TLS; write http:// if it serves plain HTTP"
        words = reason.replace("_", " ").lower() or str(error)
        return f"the TLS handshake failed: {words}"
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
