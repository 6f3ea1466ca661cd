"""Finding the source of a file: every module of this package that has a SOURCE is asked."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module

import spark_jobs.sources as package
from lakehouse.errors import BadInputError
from lakehouse.tables import find_table
from spark_jobs.sources.base import Claim, Source


@cache
def find_sources() -> dict[str, Source]:
    """Return every source by its name.

    Raises:
        RuntimeError: two sources have one name, or a source reads for a bronze table that is not declared.
    """
    sources: dict[str, Source] = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        module = import_module(f"{package.__name__}.{module_info.name}")
        source: Source | None = getattr(module, "SOURCE", None)
        if source is None:
            continue
        if source.name in sources:
            raise RuntimeError(f"two modules of {package.__name__} call their source {source.name!r}")
        try:
            find_table(f"bronze.{source.dataset}")
        except BadInputError as error:
            raise RuntimeError(f"source {source.name} reads files for data set {source.dataset!r}: {error}") from error
        sources[source.name] = source
    return sources


def claim_file(path: str) -> Claim | None:
    """Return what the one source that knows files of this path says of it, or None where no source does.

    Raises:
        RuntimeError: two sources claim the file, which is a mistake in one of them.
    """
    claims = [claim for source in find_sources().values() if (claim := source.claim(path)) is not None]
    if len(claims) > 1:
        raise RuntimeError(
            f"{path} is claimed by {' and '.join(claim.source for claim in claims)}; expected one source"
        )
    return claims[0] if claims else None
