"""Iceberg's own REST server as a process on loopback, over a JDBC catalog on SQLite.

Reads  rest_server.txt   its jars by coordinate and sha256; they are fetched into .stack/rest
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

from lakehouse.install.jars import JAR_FOLDER, fetch, read_jar_list
from lakehouse.install.java import java_command
from lakehouse.install.spark_home import spark_home
from lakehouse.install.stack_parts import STACK_FOLDER

JARS = Path(__file__).with_name("rest_server.txt")
FOLDER = STACK_FOLDER / "rest"
OF_SPARK = (
    *("jackson-annotations-*", "jackson-core-*", "jackson-databind-*", "avro-1.*", "hadoop-client-*"),
    *("slf4j-api-*", "jcl-over-slf4j-*"),
)


def class_path() -> str:
    """Return the class path, its jars fetched where they are not there yet."""
    jars = read_jar_list(JARS)
    fetch(jars, FOLDER)
    of_spark = [path for pattern in OF_SPARK for path in sorted((spark_home() / "jars").glob(pattern))]
    paths = [*(FOLDER / jar.file_name for jar in jars), *of_spark, *JAR_FOLDER.glob("sqlite-jdbc-*.jar")]
    return os.pathsep.join(map(str, paths))


@contextmanager
def rest_server(database: Path, warehouse: str) -> Iterator[str]:
    """Start the server, yield its URL and end it.

    Its own main class listens on every interface, so it is put together here, on 127.0.0.1.
    """
    (spark_py4j,) = (spark_home() / "jars").glob("py4j-*.jar")
    port, token, process = launch_gateway(
        jarpath=str(spark_py4j),
        classpath=class_path(),
        javaopts=["-Xmx512m"],
        java_path=java_command()[0],
        die_on_exit=True,
        enable_auth=True,
        return_proc=True,
    )
    gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auth_token=token, auto_convert=True))
    try:
        server = _served(gateway.jvm, database, warehouse)
        server.start()
        yield f"http://127.0.0.1:{server.getURI().getPort()}"
    finally:
        gateway.shutdown()
        process.terminate()
        process.wait(timeout=60)


def _served(jvm, database: Path, warehouse: str):
    """Build the server over a catalog."""
    properties = {
        "catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog",
        "uri": f"jdbc:sqlite:{database}?journal_mode=WAL&busy_timeout=30000",
        "jdbc.schema-version": "V1",
        "warehouse": warehouse,
        "clients": "1",
    }
    build = jvm.org.apache.iceberg.CatalogUtil.buildIcebergCatalog
    catalog = build("lakehouse", properties, jvm.org.apache.hadoop.conf.Configuration())
    rest, servlets = jvm.org.apache.iceberg.rest, jvm.org.eclipse.jetty.ee10.servlet
    handler = servlets.ServletContextHandler()
    servlet = rest.RESTCatalogServlet(rest.RESTCatalogAdapter(catalog))
    handler.addServlet(servlets.ServletHolder(servlet), "/*")
    server = jvm.org.eclipse.jetty.server.Server(jvm.java.net.InetSocketAddress("127.0.0.1", 0))
    server.setHandler(handler)
    return server
