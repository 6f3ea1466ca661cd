"""Checks of profile stack: the programs that it starts, and the servers that a catalog and a store are reached at."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from lakehouse.config.settings import Settings
from lakehouse.errors import LakehouseError
from lakehouse.install.finding import Finding
from lakehouse.install.stack_parts import parts

CONNECT_TIMEOUT_S = 3.0


def check_parts() -> list[Finding]:
    """Every program that `lakehouse up` starts in profile stack is there."""
    return [
        Finding(part.name, "ok", str(part.path)) if part.path else Finding(part.name, "missing", "not here", part.fix)
        for part in parts()
    ]


def check_catalog_server(host: str, port: int) -> Finding:
    """The catalog's server takes connections."""
    try:
        with socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S):
            return Finding("catalog", "ok", f"{host}:{port} takes connections")
    except OSError as error:
        message = f"{host}:{port} takes no connection: {error.strerror or error}"
        return Finding("catalog", "missing", message, "export LAKEHOUSE_CATALOG_HOST=... LAKEHOUSE_CATALOG_PORT=...")


def check_rest_catalog(settings: Settings) -> Finding:
    """The REST catalog answers, and takes the login."""
    from lakehouse.lake.connection import open_catalog

    try:
        open_catalog(settings)
    except LakehouseError as error:
        return Finding("catalog", "missing", str(error), "export LAKEHOUSE_CATALOG_URI=https://host/catalog")
    return Finding("catalog", "ok", f"{settings.catalog_uri} answers")


def check_store(settings: Settings) -> Finding:
    """The S3 store answers, and does not name another region than the settings."""
    import requests

    endpoint = settings.s3_endpoint or f"https://s3.{settings.s3_region}.amazonaws.com"
    bucket = urlsplit(settings.warehouse_uri).netloc
    try:
        answer = requests.head(f"{endpoint.rstrip('/')}/{bucket}", timeout=CONNECT_TIMEOUT_S, allow_redirects=False)
    except requests.RequestException as error:
        message = f"{endpoint} does not answer: {error.__class__.__name__}"
        return Finding("store", "missing", message, "export LAKEHOUSE_S3_ENDPOINT=http://host:port")
    # Unsigned, so 403 is the usual answer of a store that is well
    region = answer.headers.get("x-amz-bucket-region")
    if region and region != settings.s3_region:
        message = f"bucket {bucket} is in {region}, the settings say {settings.s3_region}"
        return Finding("store", "missing", message, f"export LAKEHOUSE_S3_REGION={region}")
    if answer.status_code == requests.codes.not_found:
        message = f"{endpoint} has no bucket {bucket}"
        return Finding("store", "missing", message, "export LAKEHOUSE_WAREHOUSE=s3://bucket/prefix")
    return Finding("store", "ok", f"{endpoint} answers for bucket {bucket}")
