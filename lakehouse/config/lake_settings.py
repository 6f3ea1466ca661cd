"""Where the tables are: the settings of catalog and store, and what each engine opens them with."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import quote, urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from lakehouse.config.environment import variable_of
from lakehouse.config.generated import read_addresses
from lakehouse.config.project import DEFAULT_HOME


class LakeSettings(BaseSettings):
    """Tables: profile, catalog and store. Embedded needs none of them; stack takes what nobody gave from `up`."""

    profile: Literal["embedded", "stack"] = Field(
        default="embedded",
        description="embedded: everything is a file below the home; stack: PostgreSQL, an S3 store, MLflow and Trino.",
    )
    home: Path = Field(default=DEFAULT_HOME, description="Folder of all state.")
    warehouse: str = Field(default="", description="Root of the tables' files. Empty: `file://<home>/warehouse`.")

    catalog_type: Literal["jdbc", "rest"] = Field(
        default="jdbc", description="jdbc: a database, SQLite or PostgreSQL; rest: a server of Iceberg's REST protocol."
    )
    catalog_host: str = Field(default="127.0.0.1", description="PostgreSQL: host of the catalog.")
    catalog_port: int = Field(default=5432, ge=1, le=65535, description="PostgreSQL: port of the catalog.")
    catalog_database: str = Field(default="iceberg", description="PostgreSQL: database of the catalog.")
    catalog_user: str = Field(default="iceberg", description="PostgreSQL: login of the catalog.")
    catalog_password: SecretStr = Field(default=SecretStr(""), description="PostgreSQL: password of the catalog.")
    catalog_uri: str = Field(default="", description="REST: URL of the catalog, without /v1.")
    catalog_warehouse: str = Field(
        default="", description="REST: the server's own name of the warehouse, if it keeps several."
    )
    catalog_token: SecretStr = Field(default=SecretStr(""), description="REST: bearer token.")
    catalog_credential: SecretStr = Field(
        default=SecretStr(""), description="REST: client-id:client-secret, exchanged for tokens by OAuth2."
    )
    catalog_oauth2_uri: str = Field(
        default="",
        description="REST: URL at which the credential is exchanged. Empty: `<catalog_uri>/v1/oauth/tokens`.",
    )

    s3_endpoint: str = Field(default="", description="URL of the S3-compatible store. Empty: AWS itself.")
    s3_region: str = Field(default="us-east-1", description="Region of the store.")
    s3_access_key_id: str = Field(
        default="", description="Key for the store. Empty: the keys that the environment or the machine has."
    )
    s3_secret_access_key: SecretStr = Field(
        default=SecretStr(""), description="Secret of `LAKEHOUSE_S3_ACCESS_KEY_ID`."
    )

    @model_validator(mode="after")
    def _one_catalog(self) -> Self:
        """Refuse what contradicts itself; no value is repeated, since it may hold a secret."""
        given = {name for name in REST_SETTINGS if _text(getattr(self, name))}
        if self.catalog_type == "jdbc" and given:
            raise ValueError(f"{variable_of(min(given))} is for LAKEHOUSE_CATALOG_TYPE=rest, found jdbc")
        if self.catalog_type == "rest":
            if jdbc := self.model_fields_set & set(JDBC_SETTINGS):
                raise ValueError(f"{variable_of(min(jdbc))} is for LAKEHOUSE_CATALOG_TYPE=jdbc, found rest")
            for name in ("catalog_uri", "catalog_oauth2_uri"):
                _require_plain_url(name, getattr(self, name), is_needed=name == "catalog_uri")
            if {"catalog_token", "catalog_credential"} <= given:
                raise ValueError("expected LAKEHOUSE_CATALOG_TOKEN or LAKEHOUSE_CATALOG_CREDENTIAL, found both")
            if "catalog_oauth2_uri" in given and "catalog_credential" not in given:
                raise ValueError("LAKEHOUSE_CATALOG_OAUTH2_URI needs LAKEHOUSE_CATALOG_CREDENTIAL, found none")
        return self

    @property
    def warehouse_uri(self) -> str:
        """Root of the tables' files as a URI, without a slash at the end."""
        return (self.warehouse or (self.home / "warehouse").as_uri()).rstrip("/")

    @property
    def has_own_store(self) -> bool:
        """True where the store is the one that `lakehouse up` starts, and not one that was given by settings."""
        port = read_addresses(self.home).get("s3") if self.profile == "stack" else None
        return port is not None and self.s3_endpoint == f"http://127.0.0.1:{port}"

    @property
    def has_catalog_file(self) -> bool:
        """True where the catalog is a file of this machine."""
        return self.profile == "embedded" and self.catalog_type == "jdbc"

    @property
    def has_trino(self) -> bool:
        """True where `lakehouse up` starts Trino: it reads the catalog in PostgreSQL."""
        return self.profile == "stack" and self.catalog_type == "jdbc"

    @property
    def catalog_file(self) -> Path:
        """The embedded profile's SQLite catalog."""
        return self.home / "catalog.db"

    @property
    def catalog_jdbc_uri(self) -> str:
        """The catalog as Spark's JDBC catalog reads it; user and password travel apart."""
        if self.profile == "embedded":
            return f"jdbc:sqlite:{self.catalog_file}?journal_mode=WAL&busy_timeout=30000&synchronous=NORMAL"
        return f"jdbc:postgresql://{self.catalog_host}:{self.catalog_port}/{self.catalog_database}"

    @property
    def catalog_sqlalchemy_uri(self) -> str:
        """The catalog as PyIceberg reads it; holds the password in the stack profile, so never print it."""
        if self.profile == "embedded":
            return f"sqlite:///{self.catalog_file}?timeout=30"
        password = quote(self.catalog_password.get_secret_value(), safe="")
        return (
            f"postgresql+psycopg://{self.catalog_user}:{password}"
            f"@{self.catalog_host}:{self.catalog_port}/{self.catalog_database}"
        )

    def pyiceberg_properties(self) -> dict[str, str]:
        """What PyIceberg's catalog is opened with; holds secrets."""
        if self.catalog_type == "rest":
            properties = self.rest_properties() | self.rest_secrets()
        else:
            properties = {"uri": self.catalog_sqlalchemy_uri, "warehouse": self.warehouse_uri}
        if self.warehouse_uri.startswith("s3"):
            properties |= self.s3_properties()
        return properties

    def rest_properties(self) -> dict[str, str]:
        """Iceberg's names for a REST catalog's address."""
        values = {
            "uri": self.catalog_uri.rstrip("/"),
            "warehouse": self.catalog_warehouse,
            "oauth2-server-uri": self.catalog_oauth2_uri,
        }
        return {key: value for key, value in values.items() if value}

    def rest_secrets(self) -> dict[str, str]:
        """Iceberg's names for what a REST catalog is entered with; nothing where it asks for nothing."""
        values = {
            "token": self.catalog_token.get_secret_value(),
            "credential": self.catalog_credential.get_secret_value(),
        }
        return {key: value for key, value in values.items() if value}

    def s3_properties(self) -> dict[str, str]:
        """Iceberg's names for the store's address and keys; empty ones are left to the environment."""
        values = {
            "s3.endpoint": self.s3_endpoint,
            "s3.region": self.s3_region,
            "s3.access-key-id": self.s3_access_key_id,
            "s3.secret-access-key": self.s3_secret_access_key.get_secret_value(),
        }
        return {key: value for key, value in values.items() if value}


JDBC_SETTINGS = ("catalog_host", "catalog_port", "catalog_database", "catalog_user", "catalog_password")
REST_SETTINGS = ("catalog_uri", "catalog_warehouse", "catalog_token", "catalog_credential", "catalog_oauth2_uri")


def _text(value: str | SecretStr) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _require_plain_url(name: str, value: str, *, is_needed: bool) -> None:
    """Demand http or https and a host, and no login in it: an address is printed."""
    if not value and not is_needed:
        return
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_url = False
    if not is_url:
        raise ValueError(
            f"{variable_of(name)}: expected a URL like https://host/catalog, found {'another' if value else 'none'}"
        )
    if parts.username or parts.password:
        raise ValueError(
            f"{variable_of(name)}: expected no login in the URL; give LAKEHOUSE_CATALOG_CREDENTIAL or _TOKEN"
        )
