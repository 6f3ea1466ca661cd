"""The servers that keep the state of profile stack, PostgreSQL and S3: started first, made ready, and probed.

What a user has named by settings, a catalog or a store elsewhere, is used instead; the store is probed all the same.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from lakehouse.config.generated import BUCKETS, make_secret, read_addresses, stack_folder, write_addresses
from lakehouse.config.settings import Settings, read_settings
from lakehouse.errors import BadInputError
from lakehouse.install.stack_parts import STORE_PART, parts
from lakehouse.services import postgres, processes, s3
from lakehouse.services.health import Say, wait_until_healthy
from lakehouse.services.plan import ServicePlan
from lakehouse.services.store_probe import refuse_open_store

SECRETS = ("catalog", "mlflow_login", "mlflow_cookies")


def require_parts(settings: Settings) -> None:
    """Name what is missing before anything is started; who named a store elsewhere needs no program for one.

    Raises:
        BadInputError: a part is missing.
    """
    is_store_given = bool(settings.warehouse) and not settings.has_own_store
    missing = [part for part in parts() if part.path is None and not (is_store_given and part.name == STORE_PART)]
    if missing:
        what = ", ".join(part.name for part in missing)
        lines = " && ".join(dict.fromkeys(part.fix for part in missing))
        raise BadInputError(f"profile stack lacks {what} on this machine; {lines}")


def generate(settings: Settings, ports: Mapping[str, int]) -> Settings:
    """Generate what is not there yet and return the settings that follow from it."""
    # PostgreSQL's own account passes through; what is in it lies in folders of its owner alone
    stack_folder(settings.home).mkdir(parents=True, exist_ok=True, mode=0o711)
    write_addresses(settings.home, {**read_addresses(settings.home), **ports})
    for name in (*SECRETS, *postgres.DATABASES.values(), postgres.READER):
        make_secret(settings.home, name)
    s3.make_identities(settings)
    return read_settings(os.environ | {"LAKEHOUSE_HOME": str(settings.home)})


def start_stores(settings: Settings, ports: Mapping[str, int], say: Say) -> None:
    """Start the servers that do not run, wait for them and make them ready.

    Raises:
        BadInputError: the store answers unsigned requests.
    """
    postgres.make_cluster(settings)
    plans = [postgres.plan(settings, ports["postgres"])]
    if settings.has_own_store:
        plans.append(s3.plan(settings, ports["s3"]))
    start_due(settings, plans)
    wait_until_healthy(settings, say, [plan.name for plan in plans])
    postgres.prepare(settings, ports["postgres"])
    if settings.has_own_store:
        s3.prepare(settings, ports["s3"])
    probe(settings)


def probe(settings: Settings) -> None:
    """Refuse a store that answers somebody without keys.

    Raises:
        BadInputError: it does.
    """
    own = BUCKETS if settings.has_own_store else ()
    buckets = dict.fromkeys([urlsplit(settings.warehouse_uri).netloc, *own])
    endpoint = settings.s3_endpoint or f"https://s3.{settings.s3_region}.amazonaws.com"
    if settings.warehouse_uri.startswith("s3"):
        refuse_open_store(endpoint, [bucket for bucket in buckets if bucket])


def start_due(settings: Settings, plans: list[ServicePlan]) -> list[str]:
    """Start the services that do not run, after what a killed one has left behind is ended; return their names."""
    running = {name: each for name, each in processes.read_state(settings).items() if each.process() is not None}
    due = [plan for plan in plans if plan.name not in running]
    processes.stop(settings, [plan.name for plan in due], grace_s=0)
    for plan in due:
        running[plan.name] = processes.start(settings, plan)
        processes.write_state(settings, running)
    return [plan.name for plan in due]
