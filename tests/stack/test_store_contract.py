"""What every S3 store has to do for the lakehouse, through each of the clients that it is used by.

Another store is put to the same test by LAKEHOUSE_CONTRACT_ENDPOINT, _KEY, _SECRET, _REGION and _BUCKET (one that
exists and is empty).
"""

from __future__ import annotations

import hashlib
import os
import random
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from pyarrow import fs

from lakehouse.config.settings import read_settings
from lakehouse.errors import BadInputError
from lakehouse.lake.store import open_filesystem
from lakehouse.services import s3
from lakehouse.services.store_probe import refuse_open_store

PART = 5 * 1024**2
PREFIX = "LAKEHOUSE_CONTRACT_"


@dataclass(frozen=True)
class Endpoint:
    """A store and a bucket of it in which everything may be done."""

    url: str
    key: str
    secret: str = field(repr=False)
    region: str
    bucket: str

    def client(self) -> Any:
        config = Config(s3={"addressing_style": "path"})
        keys = {"aws_access_key_id": self.key, "aws_secret_access_key": self.secret}
        return boto3.client("s3", endpoint_url=self.url, region_name=self.region, config=config, **keys)

    def settings(self):
        return read_settings(
            {
                "LAKEHOUSE_S3_ENDPOINT": self.url,
                "LAKEHOUSE_S3_ACCESS_KEY_ID": self.key,
                "LAKEHOUSE_S3_SECRET_ACCESS_KEY": self.secret,
                "LAKEHOUSE_S3_REGION": self.region,
            }
        )


@pytest.fixture(scope="module")
def endpoint(request):
    given = {name: os.environ.get(PREFIX + name.upper(), "") for name in ("key", "secret", "region", "bucket")}
    url = os.environ.get(f"{PREFIX}ENDPOINT")
    if url:
        return Endpoint(url, **given)
    own = request.getfixturevalue("stack").settings
    key, secret = own.s3_access_key_id, own.s3_secret_access_key.get_secret_value()
    return Endpoint(own.s3_endpoint, key, secret, own.s3_region, s3.LANDING)


@pytest.fixture(scope="module")
def contents():
    """16 MiB that no encoding leaves alone by luck: every byte value, line ends, no zero runs."""
    return random.Random(7).randbytes(16 * 1024**2 + 13)


def refusal(call, **arguments):
    """The error code with which a store refuses a request."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    return caught.value.response["Error"]["Code"]


def test_boto3_put_and_ranged_get_are_byte_exact(endpoint, contents):
    client, at = endpoint.client(), {"Bucket": endpoint.bucket, "Key": "contract/a file+with %20 & ünicode.bin"}
    client.put_object(Body=contents, **at)
    assert client.get_object(**at)["Body"].read() == contents
    assert client.get_object(Range="bytes=1048575-1048577", **at)["Body"].read() == contents[1048575:1048578]
    assert client.get_object(Range="bytes=-9", **at)["Body"].read() == contents[-9:]
    assert client.head_object(**at)["ContentLength"] == len(contents)
    client.delete_object(**at)
    assert refusal(client.get_object, **at) == "NoSuchKey"


def test_boto3_multipart_is_whole_or_not_there(endpoint, contents):
    client, at = endpoint.client(), {"Bucket": endpoint.bucket, "Key": "contract/parts.bin"}
    upload = client.create_multipart_upload(**at)["UploadId"]
    parts = []
    for number, begin in enumerate(range(0, len(contents), PART), start=1):
        part = client.upload_part(UploadId=upload, PartNumber=number, Body=contents[begin : begin + PART], **at)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    assert refusal(client.get_object, **at) == "NoSuchKey"  # not there before it is complete
    client.complete_multipart_upload(UploadId=upload, MultipartUpload={"Parts": parts}, **at)
    assert client.get_object(**at)["Body"].read() == contents
    again = client.create_multipart_upload(**at)["UploadId"]
    client.upload_part(UploadId=again, PartNumber=1, Body=b"x" * PART, **at)
    client.abort_multipart_upload(UploadId=again, **at)
    assert client.get_object(**at)["Body"].read() == contents
    client.delete_object(**at)


def test_boto3_lists_every_key_once_across_pages_and_deletes_them_together(endpoint):
    client = endpoint.client()
    keys = sorted(f"contract/list/{folder}/{number:02d}" for folder in "ab" for number in range(13))
    for key in keys:
        client.put_object(Bucket=endpoint.bucket, Key=key, Body=b"")
    pages = client.get_paginator("list_objects_v2")
    found = [
        item["Key"]
        for page in pages.paginate(Bucket=endpoint.bucket, Prefix="contract/list/", PaginationConfig={"PageSize": 7})
        for item in page.get("Contents", ())
    ]
    assert found == keys
    folders = client.list_objects_v2(Bucket=endpoint.bucket, Prefix="contract/list/", Delimiter="/")["CommonPrefixes"]
    assert [folder["Prefix"] for folder in folders] == ["contract/list/a/", "contract/list/b/"]
    client.delete_objects(Bucket=endpoint.bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert client.list_objects_v2(Bucket=endpoint.bucket, Prefix="contract/list/")["KeyCount"] == 0


def test_boto3_conditional_put_lets_one_of_two_writers_win(endpoint):
    client, at = endpoint.client(), {"Bucket": endpoint.bucket, "Key": "contract/once"}
    client.put_object(Body=b"first", IfNoneMatch="*", **at)
    assert refusal(client.put_object, Body=b"second", IfNoneMatch="*", **at) == "PreconditionFailed"
    tag = client.head_object(**at)["ETag"]
    client.put_object(Body=b"third", IfMatch=tag, **at)
    assert refusal(client.put_object, Body=b"fourth", IfMatch=tag, **at) == "PreconditionFailed"
    assert client.get_object(**at)["Body"].read() == b"third"
    client.delete_object(**at)


def test_arrow_puts_reads_lists_and_deletes(endpoint, contents):
    store, root = open_filesystem(f"s3://{endpoint.bucket}/contract/arrow", endpoint.settings())
    path = f"{root}/day=2024-08-08/large.bin"
    with store.open_output_stream(path) as stream:  # in parts: larger than Arrow's buffer
        stream.write(contents)
    with store.open_input_file(path) as file:
        assert file.size() == len(contents)
        assert file.read_at(3, PART - 1) == contents[PART - 1 : PART + 2]
        assert hashlib.sha256(file.read()).digest() == hashlib.sha256(contents).digest()
    listed = store.get_file_info(fs.FileSelector(root, recursive=True))
    assert [(each.path, each.size) for each in listed if each.is_file] == [(path, len(contents))]
    store.delete_file(path)
    assert store.get_file_info(path).type == fs.FileType.NotFound


def test_keys_that_nobody_has_are_refused(endpoint):
    stranger = Endpoint(endpoint.url, endpoint.key, "not-the-secret", endpoint.region, endpoint.bucket).client()
    assert refusal(stranger.list_objects_v2, Bucket=endpoint.bucket) == "SignatureDoesNotMatch"


def test_probe_passes_a_store_that_turns_unsigned_requests_away(endpoint):
    refuse_open_store(endpoint.url, [endpoint.bucket])


def test_probe_refuses_a_bucket_that_serves_everybody(stack):
    """Made public by the store's own root: what the probe is there to find."""
    client = s3.root_client(stack.settings, stack.settings.s3_endpoint)
    client.create_bucket(Bucket="public")
    statement = {"Effect": "Allow", "Principal": "*", "Action": ["s3:*"], "Resource": ["arn:aws:s3:::public/*"]}
    client.put_bucket_policy(Bucket="public", Policy=f'{{"Statement": [{s3.json.dumps(statement)}]}}')
    try:
        with pytest.raises(BadInputError, match=r"expected 403 for an unsigned request to .* public, found"):
            refuse_open_store(stack.settings.s3_endpoint, ["public"])
        assert client.list_objects_v2(Bucket="public")["KeyCount"] == 0  # what it wrote, it has removed
    finally:
        client.delete_bucket(Bucket="public")
