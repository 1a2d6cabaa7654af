"""Every failure of the vendor's client, mapped once to ours.

`str()` of its exceptions holds headers and bodies, so none of it is ever shown: the user reads what it means and what to
do. Only the reason that a 4xx gives for refusing content is quoted, shortened and redacted.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from ..errors import CloudDenied, CloudError, CloudFailed, CloudMissing, CloudRefused, CloudUnreachable
from ..redaction import redact
from ..text import clean

_REFUSALS = frozenset({400, 413, 414, 415, 422, 431})
_LONGEST_WAIT = 3600.0
_REASON = 240


def shown_url(url: str) -> str:
    """The address without credentials, query and fragment."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(an address that cannot be read)"
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def of_status(
    status: int, where: str, bank: str, body: str | None = None, headers: Any = None, key: str | None = None
) -> CloudError:
    """The error for an HTTP status.

    Args:
        status: the status; one that is no error means that the answer was not Hindsight's.
        where: the address, fit to be shown.
        bank: the bank's name.
        body: the answer's body.
        headers: its headers; `Retry-After` is read.
        key: what must not be quoted, should the server send it back.
    """
    if status == 401:
        return CloudDenied(f"Hindsight at {where} does not accept the key (401). Check HINDSIGHT_API_KEY.")
    if status == 403:
        return CloudDenied(
            f"Hindsight at {where} does not let this key use the bank {bank!r} (403). Check HINDSIGHT_API_KEY and "
            "INCIDENTOS_HINDSIGHT_BANK."
        )
    if status in {404, 405, 410}:
        return CloudMissing(
            f"Hindsight at {where} knows no such bank or address ({status}). Check HINDSIGHT_BASE_URL and "
            "INCIDENTOS_HINDSIGHT_BANK."
        )
    if status in _REFUSALS:
        return CloudRefused(f"Hindsight refuses it ({status}): {_reason(body, key)}")
    if status == 429:
        return CloudFailed(f"Hindsight at {where} has too much to do (429); it is tried again later.", _wait(headers))
    if status == 409:
        return CloudFailed(f"Hindsight at {where} is busy with the same incident (409); it is tried again later.")
    if 500 <= status <= 599:
        return CloudFailed(
            f"Hindsight at {where} failed ({status}); it is tried again later. Its own log says why.", _wait(headers)
        )
    return CloudUnreachable(
        f"What answers at {where} is not Hindsight, or one that is not understood. Check HINDSIGHT_BASE_URL, and whether "
        "a proxy or a login page stands in between."
    )


def of_exception(exc: Exception, where: str, bank: str, seconds: float, key: str | None = None) -> CloudError | None:
    """The error for an exception of the client or of what it is built on; None for one that is not theirs."""
    import aiohttp
    import pydantic
    from hindsight_client_api.exceptions import ApiException, OpenApiException

    if isinstance(exc, ApiException):
        return of_status(int(exc.status or 0), where, bank, _text(exc.body), exc.headers, key)
    if isinstance(exc, TimeoutError):
        return CloudUnreachable(f"Hindsight at {where} did not answer within {seconds:g} seconds.")
    if isinstance(exc, aiohttp.ClientConnectorCertificateError | aiohttp.ClientSSLError):
        return CloudUnreachable(f"The certificate of {where} is not accepted. Check HINDSIGHT_BASE_URL.")
    if isinstance(exc, aiohttp.ClientConnectorDNSError):
        return CloudUnreachable(f"The name in {where} is not known (DNS). Check HINDSIGHT_BASE_URL and the network.")
    if isinstance(exc, aiohttp.ClientConnectorError):
        return CloudUnreachable(f"Hindsight at {where} cannot be reached: no connection.")
    if isinstance(exc, aiohttp.InvalidURL):
        return CloudUnreachable(f"HINDSIGHT_BASE_URL ({where}) is not an address that can be called.")
    if isinstance(exc, aiohttp.ClientError | OSError):
        return CloudUnreachable(f"The connection to Hindsight at {where} broke off before the answer was whole.")
    if isinstance(
        exc, OpenApiException | pydantic.ValidationError | ValueError | TypeError | AttributeError | LookupError
    ):
        return of_status(200, where, bank)
    return None


def _reason(body: str | None, key: str | None) -> str:
    """What the server's validation says is wrong: where, and its own words, without what it was given."""
    try:
        found = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in json.loads(body or "")["detail"][:3]]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        found = []
    text = " ".join(clean("; ".join(found)).split())
    text = redact(text.replace(key, "[redacted: key]") if key else text)
    return (text if len(text) <= _REASON else text[: _REASON - 1] + "…") or "it gives no reason that can be read."


def _wait(headers: Any) -> float:
    try:
        seconds = float(headers.get("Retry-After") or 0)
    except (AttributeError, TypeError, ValueError):
        return 0.0
    return min(max(seconds, 0.0), _LONGEST_WAIT) if seconds == seconds else 0.0


def _text(body: Any) -> str | None:
    return body if isinstance(body, str) else None
