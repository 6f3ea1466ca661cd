"""The S3 server of profile stack (versitygw): one identity per role, and what each bucket lets it do.

Writes  <home>/stack/s3         the buckets, as folders and files
        <home>/stack/s3-users   the identities; mode 0600

Buckets and policies are made by the root identity, which nothing else uses.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

import requests

from lakehouse.config.generated import BUCKETS, REGION, make_secret, read_secret, stack_folder
from lakehouse.config.private_files import write_private
from lakehouse.config.settings import Settings
from lakehouse.errors import BadInputError
from lakehouse.install.stack_parts import GET, versitygw_program
from lakehouse.services.plan import ServicePlan

IDENTITIES = ("jobs", "trino", "mlflow", "airflow")
"""Roles with keys of their own: secrets s3_<role>_key and s3_<role>_secret."""
READ = ("s3:GetObject", "s3:ListBucket", "s3:GetBucketLocation")
WRITE = (
    *READ,
    *("s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
    *("s3:ListBucketMultipartUploads", "s3:ListMultipartUploadParts"),
)
LAKE, LANDING, MLFLOW, LOGS = BUCKETS
GRANTS: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    LAKE: {"jobs": WRITE, "trino": READ},
    LANDING: {"jobs": WRITE},
    MLFLOW: {"mlflow": WRITE},
    LOGS: {"airflow": WRITE},
}


def keys(settings: Settings, role: str) -> tuple[str, str]:
    """Return a role's access key id and secret key."""
    return read_secret(settings.home, f"s3_{role}_key"), read_secret(settings.home, f"s3_{role}_secret")


def make_identities(settings: Settings) -> None:
    """Generate the keys of every role and write down the identities that the server knows."""
    for role in ("root", *IDENTITIES):
        make_secret(settings.home, f"s3_{role}_key")
        make_secret(settings.home, f"s3_{role}_secret")
    accounts = {}
    for role in IDENTITIES:
        access, secret = keys(settings, role)
        accounts[access] = {"access": access, "secret": secret, "role": "user"}
    users = stack_folder(settings.home) / "s3-users" / "users.json"
    write_private(users, json.dumps({"accessAccounts": accounts}))
    (stack_folder(settings.home) / "s3").mkdir(parents=True, exist_ok=True, mode=0o700)


def plan(settings: Settings, port: int) -> ServicePlan:
    """Return how the server is started. Without --keep-alive: with it, one of forty multipart uploads by Arrow fails.

    Raises:
        BadInputError: its program is missing.
    """
    program, folder = versitygw_program(), stack_folder(settings.home)
    if program is None:
        raise BadInputError(f"the S3 server's program is missing; {GET}")
    access, secret = keys(settings, "root")
    command = [str(program), "--port", f"127.0.0.1:{port}", "--region", REGION, "--health", "/health", "--quiet"]
    command += ["--iam-dir", str(folder / "s3-users"), "posix", str(folder / "s3")]
    variables = {"PATH": os.environ.get("PATH", os.defpath), "ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret}
    return ServicePlan("s3", tuple(command), variables, port)


def is_ready(port: int) -> bool:
    """Say whether the server says that it is well."""
    try:
        return requests.get(f"http://127.0.0.1:{port}/health", timeout=5).ok
    except requests.RequestException:
        return False


def prepare(settings: Settings, port: int) -> None:
    """Make the buckets and say who may do what in each."""
    client = root_client(settings, f"http://127.0.0.1:{port}")
    make_buckets(client)
    for bucket, grants in GRANTS.items():
        client.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy(settings, bucket, grants)))


def make_buckets(client: Any) -> None:
    """Make the buckets that are not there yet."""
    present = {bucket["Name"] for bucket in client.list_buckets()["Buckets"]}
    for bucket in BUCKETS:
        if bucket not in present:
            client.create_bucket(Bucket=bucket)


def policy(settings: Settings, bucket: str, grants: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    """Return a bucket's policy; what it does not name is denied."""
    statements = []
    for role, actions in grants.items():
        access, _ = keys(settings, role)
        of_bucket = [action for action in actions if "Bucket" in action]
        of_objects = [action for action in actions if "Bucket" not in action]
        for some, resource in ((of_bucket, bucket), (of_objects, f"{bucket}/*")):
            statements.append(
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": [access]},
                    "Action": some,
                    "Resource": [f"arn:aws:s3:::{resource}"],
                }
            )
    return {"Version": "2012-10-17", "Statement": statements}


def root_client(settings: Settings, endpoint: str) -> Any:
    """Return a client that signs as root."""
    import boto3
    from botocore.config import Config

    access, secret = keys(settings, "root")
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=access,
        aws_secret_access_key=secret,
        region_name=REGION,
        config=Config(s3={"addressing_style": "path"}, connect_timeout=5, retries={"max_attempts": 3}),
    )
