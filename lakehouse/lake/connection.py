"""The connection to the catalog without a JVM: a database by PyIceberg's SQL catalog, or a REST server."""

from __future__ import annotations

from pydantic import ValidationError
from pyiceberg.catalog import Catalog
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ForbiddenError, OAuthError, RESTError, UnauthorizedError
from sqlalchemy import NullPool, create_engine
from sqlalchemy.exc import SQLAlchemyError
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError, UnavailableError, first_line
from lakehouse.tables import CATALOG

CATALOG_ERRORS = (SQLAlchemyError, RESTError, OSError)
"""What a catalog or store that is away raises: the database's driver, PyIceberg for a REST server, and the network."""

OPEN_SECONDS = 2
"""How long opening is tried again. Two processes that open a new catalog both make its tables, and the second fails;
SQLite may also answer busy at once while the last connection of another process closes its write-ahead log."""
OPEN_PAUSE_SECONDS = 0.1


def open_catalog(settings: Settings) -> Catalog:
    """Open the catalog that the settings name.

    Raises:
        UnavailableError: the database can't be opened, or the REST server does not answer.
        BadInputError: the REST server refuses the login.
    """
    if settings.catalog_type == "rest":
        return _open_rest_catalog(settings)
    if settings.has_catalog_file:
        settings.home.mkdir(parents=True, exist_ok=True)
    try:
        catalog = _open_database(settings)
    except SQLAlchemyError as error:
        message = f"the catalog can't be opened ({first_line(error)}); `lakehouse doctor` says more"
        raise UnavailableError(message) from error
    if not settings.has_catalog_file:
        # A pool of its own would keep a connection open until the catalog is collected, and a server counts them
        catalog.engine.dispose()
        catalog.engine = create_engine(settings.catalog_sqlalchemy_uri, poolclass=NullPool)
    return catalog


@retry(
    retry=retry_if_exception_type(SQLAlchemyError),
    stop=stop_after_delay(OPEN_SECONDS),
    wait=wait_fixed(OPEN_PAUSE_SECONDS),
    reraise=True,
)
def _open_database(settings: Settings) -> SqlCatalog:
    return SqlCatalog(CATALOG, **settings.pyiceberg_properties())


def _open_rest_catalog(settings: Settings) -> Catalog:
    try:
        return RestCatalog(CATALOG, **settings.pyiceberg_properties())
    except (UnauthorizedError, ForbiddenError, OAuthError) as error:
        raise BadInputError(
            f"{settings.catalog_uri} refuses the login ({first_line(error)}); it is given by "
            "LAKEHOUSE_CATALOG_TOKEN or LAKEHOUSE_CATALOG_CREDENTIAL"
        ) from error
    except (RESTError, OSError, ValidationError) as error:
        why = "its answer is no REST catalog's" if isinstance(error, ValidationError) else first_line(error)
        raise UnavailableError(
            f"{settings.catalog_uri}: the catalog can't be opened ({why}); `lakehouse doctor` says more"
        ) from error
