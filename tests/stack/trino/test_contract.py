"""Trino's own S3 client on the store: it reads to the byte what others wrote there, and its key writes nothing."""

from __future__ import annotations

import hashlib
import random

import pyarrow as pa
import pytest
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import BinaryType, LongType, NestedField, StringType

from lakehouse.errors import LakehouseError
from lakehouse.lake.connection import open_catalog
from lakehouse.queries.trino import ADMIN

NAMES = ("plain", "ünï code", "a/b", "100%", "a+b c", "%20")
"""A partition each, so a folder each: keys that a client has to encode once and not twice."""
FIELDS = (
    NestedField(1, "id", LongType(), required=False),
    NestedField(2, "name", StringType(), required=False),
    NestedField(3, "payload", BinaryType(), required=False),
)


@pytest.fixture(scope="module")
def payloads():
    """18 MB that don't compress, so that files have several row groups and a reader asks for ranges of them."""
    noise = random.Random(11)
    rows = [(number, NAMES[number % len(NAMES)], noise.randbytes(24 * 1024)) for number in range(750)]
    return [*rows, (750, "plain", b""), (751, "plain", bytes(range(256))), (752, "a/b", None)]


@pytest.fixture(scope="module")
def contract(stack, payloads):
    """The rows in a table that PyArrow has written."""
    catalog = open_catalog(stack.settings)
    catalog.create_namespace_if_not_exists("contract")
    table = catalog.create_table(
        "contract.payloads",
        schema=Schema(*FIELDS),
        partition_spec=PartitionSpec(PartitionField(2, 1000, IdentityTransform(), "name")),
        properties={"format-version": "2", "write.parquet.row-group-limit": "50"},
    )
    ids, names, contents = zip(*payloads, strict=True)
    columns = [pa.array(ids, pa.int64()), pa.array(names, pa.string()), pa.array(contents, pa.binary())]
    table.append(pa.table(columns, names=["id", "name", "payload"]))
    yield table
    catalog.purge_table("contract.payloads")
    catalog.drop_namespace("contract")


READ = "SELECT id, name, to_hex(sha256(payload)) FROM lakehouse.contract.payloads"


def sums(rows):
    return {
        (number, name): None if content is None else hashlib.sha256(content).hexdigest().upper()
        for number, name, content in rows
    }


def test_trino_reads_every_byte_that_arrow_wrote(stack, contract, payloads):
    found = stack.trino(READ, ADMIN)
    assert {(number, name): digest for number, name, digest in found} == sums(payloads)


@pytest.mark.parametrize("name", NAMES)
def test_trino_finds_a_partition_by_its_name_and_a_row_by_its_range(stack, contract, payloads, name):
    wanted = [row for row in payloads if row[1] == name and 640 <= row[0] < 720]
    query = f"{READ} WHERE name = '{name}' AND id BETWEEN 640 AND 719"
    assert {(number, name): digest for number, name, digest in stack.trino(query, ADMIN)} == sums(wanted)


def test_trino_sees_what_another_client_has_deleted(stack, contract, payloads):
    contract.delete("id < 600")
    kept = [row for row in payloads if row[0] >= 600]
    found = stack.trino(READ, ADMIN)
    assert {(number, name): digest for number, name, digest in found} == sums(kept)


def test_trino_makes_no_table_on_the_store(stack, contract):
    with pytest.raises(LakehouseError, match=r"Access Denied|Cannot create table"):
        stack.trino("CREATE TABLE lakehouse.contract.copied AS SELECT * FROM lakehouse.contract.payloads", ADMIN)
    assert open_catalog(stack.settings).list_tables("contract") == [("contract", "payloads")]
