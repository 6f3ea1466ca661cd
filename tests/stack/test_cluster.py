"""The jobs on a standalone cluster with files and tables on S3: the rows of one process, also when a worker dies."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from psycopg import sql
from spark_cluster import BIN, environment, standalone, wait_for

from lakehouse.services import postgres
from lakehouse.tables import tables_of
from lakehouse.tables.finance import GOLD_TICK_PREDICTIONS

SCRIPT = Path(__file__).parents[2] / "spark_jobs" / "finance" / "pipeline.py"
TABLES = [table for table in tables_of("finance") if table != GOLD_TICK_PREDICTIONS]
"""All that the chain writes but its manifest, which in the other lakehouse has files of every domain."""
KILLED = "one"


@pytest.fixture(scope="module")
def variables(stack):
    """A catalog and a warehouse of their own on the stack's servers."""
    own = stack.settings
    with closing(postgres.connect(own, own.catalog_port)) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} OWNER catalog").format(sql.Identifier("cluster")))
    return {
        "LAKEHOUSE_PROFILE": "stack",
        "LAKEHOUSE_HOME": str(own.home),
        "LAKEHOUSE_SHUFFLE_PARTITIONS": "4",
        "LAKEHOUSE_DRIVER_MEMORY": "1g",
        "LAKEHOUSE_CATALOG_PORT": str(own.catalog_port),
        "LAKEHOUSE_CATALOG_DATABASE": "cluster",
        "LAKEHOUSE_CATALOG_USER": "catalog",
        "LAKEHOUSE_CATALOG_PASSWORD": own.catalog_password.get_secret_value(),
        "LAKEHOUSE_WAREHOUSE": "s3://lake/cluster",
        "LAKEHOUSE_S3_ENDPOINT": own.s3_endpoint,
        "LAKEHOUSE_S3_ACCESS_KEY_ID": own.s3_access_key_id,
        "LAKEHOUSE_S3_SECRET_ACCESS_KEY": own.s3_secret_access_key.get_secret_value(),
    }


def test_a_killed_worker_changes_no_row(variables, stack, embedded, lakes, spark, tmp_path_factory):
    with standalone(tmp_path_factory.mktemp("cluster")) as cluster:
        command = [BIN / "spark-submit", "--master", cluster.url, SCRIPT, "--landing", stack.settings.landing_root]
        job = subprocess.Popen(
            command, env=environment(**variables), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        wait_for(lambda: cluster.took_part(KILLED) or job.poll() is not None, cluster.folder)
        assert job.poll() is None
        lines = stack.command_lines()
        assert any("CoarseGrainedExecutorBackend" in line for line in lines)
        assert stack.secrets_in("\n".join(lines)) == []
        cluster.kill(KILLED)
        said, _ = job.communicate(timeout=1500)
        assert job.returncode == 0, said[-4000:]
        assert cluster.took_part("two")
        written = [path for path in cluster.folder.rglob("*") if path.is_file()]
        assert [path.name for path in written if stack.secrets_in(path.read_bytes())] == []
    given = {name.removeprefix("LAKEHOUSE_").lower(): value for name, value in variables.items()}
    remote = lakes(spark, tmp_path_factory.mktemp("many"), "cluster", **given)
    assert {table.identifier: remote.digest(table) for table in TABLES} == {
        table.identifier: embedded.digest(table) for table in TABLES
    }
