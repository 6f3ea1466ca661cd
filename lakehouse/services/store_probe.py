"""A store that serves everybody is refused before anything is written to it: unsigned requests must be turned away.

Some S3 servers know no keys until they are given some, and then answer to whoever asks.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence

import requests

from lakehouse.errors import BadInputError, UnavailableError

TIMEOUT_S = 10.0
DENIED = (requests.codes.unauthorized, requests.codes.forbidden)


def refuse_open_store(endpoint: str, buckets: Sequence[str]) -> None:
    """Send unsigned requests that list, read and write; whatever they are answered with but a denial is refused.

    Raises:
        BadInputError: the store answers somebody without keys.
        UnavailableError: it does not answer at all.
    """
    session = requests.Session()
    session.trust_env = False  # a .netrc could sign what is to be unsigned
    address = endpoint.rstrip("/")
    object_key = f"unsigned-{secrets.token_hex(8)}"
    asked = [("GET", f"{address}/", "list the buckets")]
    for bucket in buckets:
        asked.append(("GET", f"{address}/{bucket}?list-type=2&max-keys=1", f"list {bucket}"))
        asked.append(("GET", f"{address}/{bucket}/{object_key}", f"read an object of {bucket}"))
        asked.append(("PUT", f"{address}/{bucket}/{object_key}", f"write an object to {bucket}"))
    for method, url, what in asked:
        status = send(session, method, url)
        if method == "PUT" and status < 300:
            send(session, "DELETE", url)
        if status not in DENIED and not 300 <= status < 400:  # a redirect gives nothing away
            raise BadInputError(
                f"{address}: expected 403 for an unsigned request to {what}, found {status}: this store answers "
                "somebody without keys; give it identities, or name another one by LAKEHOUSE_S3_ENDPOINT"
            )


def send(session: requests.Session, method: str, url: str) -> int:
    """Send one unsigned request and return its status.

    Raises:
        UnavailableError: no answer, or one of a server that is not well.
    """
    try:
        answer = session.request(method, url, data=b"x" if method == "PUT" else None, timeout=TIMEOUT_S,
                                 allow_redirects=False)  # fmt: skip
    except requests.RequestException as error:
        raise UnavailableError(f"{url} does not answer: {type(error).__name__}") from error
    if answer.status_code >= 500:
        raise UnavailableError(f"{url} answered {answer.status_code}; run the same again when the store is well")
    return int(answer.status_code)
