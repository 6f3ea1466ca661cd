"""Trino on this machine: how it is started, its certificate, and who may log in.

Reads   conf/trino   the configuration, as it is; every address and secret in it is an environment variable
Writes  <home>/stack/trino/tls/server.pem        key and certificate, self-signed; made anew a month before it ends
        <home>/stack/trino/tls/certificate.pem   the certificate alone, by which clients verify the server
        <home>/stack/trino/passwords.txt         bcrypt hashes of the passwords
        <home>/stack/trino/views                 definitions of the views; their names are in the database `trino`

All of them have mode 0600. Nobody but `admin` and `analyst` has a login; what each may do is in conf/trino/rules.json.
Trino reads the tables by a database role and an S3 key that can't write; it writes its views, and nothing else.
"""

from __future__ import annotations

import ipaddress
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bcrypt
import psycopg
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lakehouse.config.generated import make_secret, read_addresses, read_secret
from lakehouse.config.private_files import write_private
from lakehouse.config.project import ROOT
from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.install.stack_parts import GET, trino_home, trino_java
from lakehouse.queries.trino import ADMIN, ANALYST, certificate_file, trino_folder
from lakehouse.services import postgres, s3
from lakehouse.services.plan import ServicePlan

CONFIGURATION = ROOT / "conf" / "trino"
VIEWS_ROLE = "trino"
"""Role and database of the views' names."""
HOST_NAMES = ("localhost", "trino")
"""By which clients may call the server, besides 127.0.0.1: `trino` is its name in docker-compose.yaml."""
CERTIFICATE_DAYS = 365
RENEWED_BEFORE_DAYS = 30
COST = 10
"""Of bcrypt: a login takes Trino 50 ms. The passwords are random, so that no number of guesses finds them."""


def prepare(settings: Settings, database_port: int) -> None:
    """Make what the server is started with: passwords, certificate, and the tables that hold the views' names."""
    # A number that another process has by now would keep the launcher from starting; who runs is known by `processes`
    (trino_folder(settings.home) / "data" / "var" / "run" / "launcher.pid").unlink(missing_ok=True)
    make_files(settings.home)
    make_view_tables(settings, database_port)


def make_files(home: Path) -> None:
    """Make passwords and certificate."""
    folder = trino_folder(home)
    (folder / "views").mkdir(parents=True, exist_ok=True, mode=0o700)
    make_certificate(certificate_file(home))
    make_secret(home, "trino_internal")
    words = {user: make_secret(home, f"trino_{user}") for user in (ADMIN, ANALYST)}
    write_private(folder / "passwords.txt", "".join(f"{user}:{hash_of(word)}\n" for user, word in words.items()))


def make_view_tables(settings: Settings, database_port: int) -> None:
    """Make the tables that hold the views' names."""
    with psycopg.connect(postgres.uri(settings, VIEWS_ROLE, database_port, "postgresql")) as connection:
        connection.execute((CONFIGURATION / "views.sql").read_bytes())


def hash_of(password: str) -> str:
    """Return bcrypt's hash of a password."""
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(COST)).decode()


def make_certificate(public: Path) -> None:
    """Make a key and a self-signed certificate for this machine, unless there is one that holds for a month more."""
    private = public.with_name("server.pem")
    now = datetime.now(UTC)
    if public.is_file() and private.is_file():
        present = x509.load_pem_x509_certificate(public.read_bytes())
        if present.not_valid_after_utc > now + timedelta(days=RENEWED_BEFORE_DAYS):
            return
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "lakehouse Trino")])
    names = [x509.DNSName(each) for each in HOST_NAMES]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=CERTIFICATE_DAYS))
        .add_extension(
            x509.SubjectAlternativeName([*names, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    text = certificate.public_bytes(serialization.Encoding.PEM).decode()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    write_private(private, pem + text)
    write_private(public, text)


def plan(settings: Settings, port: int) -> ServicePlan:
    """Return how the server is started; secrets go by its environment alone.

    Raises:
        BadInputError: the server or its Java is missing.
    """
    server, java = trino_home(), trino_java()
    if server is None or java is None:
        raise BadInputError(f"{'Trino' if server is None else 'a Java for Trino'} is missing; {GET}")
    home = java.parents[1]
    command = (str(server / "bin" / "launcher"), "run", "--etc-dir", str(CONFIGURATION))
    path = os.pathsep.join([str(home / "bin"), os.environ.get("PATH", os.defpath)])
    own = {"PATH": path, "JAVA_HOME": str(home), "LC_ALL": "C.UTF-8", "TZ": "UTC"}
    data = ("--data-dir", str(trino_folder(settings.home) / "data"))
    return ServicePlan("trino", (*command, *data), own | environment(settings, port), port)


def environment(settings: Settings, port: int) -> dict[str, str]:
    """Return the variables that conf/trino refers to."""
    variables = {
        "HOST": "127.0.0.1",
        "BIND": "127.0.0.1",
        "PORT": str(port),
        "STATE": str(trino_folder(settings.home)),
        "RULES": str(CONFIGURATION / "rules.json"),
        "INTERNAL_SECRET": read_secret(settings.home, "trino_internal"),
        **catalog(settings),
        **store(settings),
    }
    return {f"TRINO_{name}": value for name, value in variables.items()}


def catalog(settings: Settings) -> dict[str, str]:
    """Return how the two databases are entered: the catalog's by a role that reads it, where the server is ours."""
    port = read_addresses(settings.home)["postgres"]
    user, password = settings.catalog_user, settings.catalog_password.get_secret_value()
    if (settings.catalog_host, settings.catalog_port) == ("127.0.0.1", port):
        user, password = postgres.READER, read_secret(settings.home, postgres.READER)
    return {
        "CATALOG_URL": settings.catalog_jdbc_uri,
        "CATALOG_USER": user,
        "CATALOG_PASSWORD": password,
        "VIEWS_URL": f"jdbc:postgresql://127.0.0.1:{port}/{VIEWS_ROLE}",
        "VIEWS_USER": VIEWS_ROLE,
        "VIEWS_PASSWORD": read_secret(settings.home, postgres.DATABASES[VIEWS_ROLE]),
    }


def store(settings: Settings) -> dict[str, str]:
    """Return where the tables' files are, and keys that read them: our server's for Trino, else those given."""
    key, secret = settings.s3_access_key_id, settings.s3_secret_access_key.get_secret_value()
    if settings.has_own_store:
        key, secret = s3.keys(settings, "trino")
    return {
        "WAREHOUSE": settings.warehouse_uri,
        "S3_ENDPOINT": settings.s3_endpoint or f"https://s3.{settings.s3_region}.amazonaws.com",
        "S3_REGION": settings.s3_region,
        "S3_KEY": key,
        "S3_SECRET": secret,
    }


def is_ready(settings: Settings, port: int) -> bool:
    """Say whether the server takes queries."""
    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE would take the place of our certificate
    session.verify = str(certificate_file(settings.home))
    try:
        return session.get(f"https://127.0.0.1:{port}/v1/info", timeout=5).json()["starting"] is False
    except (requests.RequestException, OSError, ValueError, KeyError):
        return False
