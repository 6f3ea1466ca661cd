"""Bring tags of gold in line with the registry: a version keeps its tag, what no version needs is let go.

A version that was deleted in MLflow releases its tag. A run that failed keeps a tag with an age, which expiry of
snapshots honours; a tag without an age that no version holds gets one. A version whose tag lost its permanence gets it
back.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pyiceberg.table.refs import SnapshotRef

from lakehouse.lake.catalog import read_log
from lakehouse.lake.connection import open_catalog
from lakehouse.lake.migration import known_tables
from lakehouse.tables import Table
from lakehouse.tables.registry import MODEL_VERSIONS
from ml.pins import model_tags, pin, release
from ml.tracking import TAG, Context, mlflow_errors


def reconcile_tags(context: Context) -> list[str]:
    """Go through the tags of training runs on every gold table; return what was done."""
    catalog = open_catalog(context.settings)
    with mlflow_errors():
        held = versions_by_tag(context)
        known = registered_runs(context)
    done = []
    for table in known_tables(catalog):
        if table.layer == "gold" and catalog.table_exists(table.identifier):
            for tag, reference in model_tags(context.settings, table).items():
                run_id = tag.rpartition("_")[2]
                if tag in held:
                    change = hold(context, table, tag, reference, held[tag])
                elif run_id in known:
                    release(context.settings, table, tag)
                    change = "released, its version was deleted"
                else:
                    change = let_expire(context, table, tag, reference)
                if change:
                    done.append(f"tag {tag} of {table.identifier}: {change}")
    return done


def versions_by_tag(context: Context) -> dict[str, str]:
    """Return `name version` of the registered version that holds each tag."""
    return {
        version.tags[f"{TAG}tag"]: f"{version.name} {version.version}"
        for version in context.client.search_model_versions()
        if f"{TAG}tag" in version.tags
    }


def registered_runs(context: Context) -> set[str]:
    """Return the runs that were registered once, whether their versions are still there or not."""
    return set(read_log(context.settings, MODEL_VERSIONS).column("mlflow_run_id").to_pylist())


def hold(context: Context, table: Table, tag: str, reference: SnapshotRef, version: str) -> str:
    """Make the tag of a version lasting where it is not."""
    if reference.max_ref_age_ms is None:
        return ""
    pin(context.settings, table, reference.snapshot_id, tag, None)
    return f"kept for {version}"


def let_expire(context: Context, table: Table, tag: str, reference: SnapshotRef) -> str:
    """Release the tag of a run that was never registered once it is old enough; until then it has an age."""
    days = context.settings.failed_run_tag_max_age_days
    if not run_is_recent(context, tag.rpartition("_")[2], datetime.now(UTC) - timedelta(days=days)):
        release(context.settings, table, tag)
        return f"released, its run was not registered within {days} days"
    if reference.max_ref_age_ms is None:
        pin(context.settings, table, reference.snapshot_id, tag, days)
        return f"expires in {days} days, no version holds it"
    return ""


def run_is_recent(context: Context, run_id: str, oldest: datetime) -> bool:
    """Return whether a run began after a moment; an old snapshot may be trained on today."""
    from mlflow.exceptions import MlflowException

    try:
        started_ms = context.client.get_run(run_id).info.start_time
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return False
    return bool(started_ms >= oldest.timestamp() * 1000)
