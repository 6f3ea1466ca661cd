"""The chain of a domain's jobs in one session: bronze by delivery, then each table from the slices before it.

Jobs are found, not registered: `JOB` of each module in the domain's folder, or what its function `jobs` returns for a
request. Their order follows from what they read and write. Jobs that read no table of the domain, such as those that
publish forecasts, are not part of the chain.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Sequence
from dataclasses import replace
from graphlib import TopologicalSorter
from importlib import import_module

from lakehouse.errors import BadInputError, ExitCode
from lakehouse.slices import in_order
from spark_jobs.engine.job import Request, TableJob
from spark_jobs.engine.manifest import touched_slices
from spark_jobs.engine.run import run
from spark_jobs.layers.command_line import tell

PASSING = (ExitCode.DONE, ExitCode.QUARANTINED)


def find_jobs(domain: str, request: Request | None = None) -> tuple[TableJob, ...]:
    """Return every job of a domain; those that depend on a request are left out without one."""
    package = import_module(f"spark_jobs.{domain}")
    jobs: list[TableJob] = []
    for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = import_module(found.name)
        if hasattr(module, "JOB"):
            jobs.append(module.JOB)
        if request is not None and hasattr(module, "jobs"):
            jobs += module.jobs(request)
    return tuple(jobs)


def order_chain(jobs: Sequence[TableJob]) -> tuple[TableJob, ...]:
    """Return the jobs that make tables of the domain from its deliveries, each after those whose tables it reads.

    Raises:
        BadInputError: two jobs write one table, or jobs read each other's tables in a circle.
    """
    writers: dict[str, TableJob] = {}
    for job in jobs:
        if writers.setdefault(job.table.identifier, job) is not job:
            both = f"{writers[job.table.identifier].name} and {job.name}"
            raise BadInputError(f"expected one job for {job.table.identifier}, found {both}")
    by_name = {job.name: job for job in jobs}
    writes = {table.identifier: job.name for job in jobs for table in job.tables if job.table.layer != "bronze"}
    writes |= {job.table.identifier: job.name for job in jobs}
    needs: dict[str, set[str]] = {}
    for job in jobs:
        needed = {writes[table.identifier] for table in job.reads if table.identifier in writes} - {job.name}
        if needed or job.table.layer == "bronze":
            needs[job.name] = needed
    for job in jobs:  # a table of what was delivered at all, made from the manifest
        if job.name not in needs and job.reads:
            needs[job.name] = {other.name for other in jobs if other.table.layer == "bronze"}
    order = {"bronze": 0, "silver": 1, "gold": 2}
    sorter = TopologicalSorter(needs)
    sorter.prepare()
    chain: list[TableJob] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=lambda name: (order[by_name[name].table.layer], name))
        chain += [by_name[name] for name in ready]
        sorter.done(*ready)
    return tuple(sorted(chain, key=lambda job: order[job.table.layer]))


def run_domain(domain: str, request: Request) -> ExitCode:
    """Run every job of a domain's chain; the first that fails ends it with its exit code."""
    worst = ExitCode.DONE
    jobs = order_chain(find_jobs(domain, request))
    bronze = [job for job in jobs if job.table.layer == "bronze"]
    for job in bronze:
        outcome = run(job, request)
        tell(outcome)
        if outcome.exit_code not in PASSING:
            return outcome.exit_code
        worst = max(worst, outcome.exit_code)
    slices = request.slices
    if slices is not None:
        slices = touched_slices(request.settings, slices, [job.table.name for job in bronze])
    for job in jobs[len(bronze) :]:
        outcome = run(job, replace(request, slices=slices))
        tell(outcome)
        if outcome.exit_code not in PASSING:
            return outcome.exit_code
        worst = max(worst, outcome.exit_code)
        if slices is not None:
            slices = in_order((*slices, *outcome.slices))  # a carried state may have reached later days
    return worst
