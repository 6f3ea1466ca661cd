"""The image sets that a run is of: those that were asked for, or every declared one."""

from __future__ import annotations

from lakehouse.errors import BadInputError
from lakehouse.reference.image_set import FOLDER, ImageSet, declared_image_sets
from lakehouse.slices import names_of
from spark_jobs.engine.job import Request


def declared_sets(request: Request) -> dict[str, ImageSet]:
    """Return every declared set by name."""
    return declared_image_sets(request.landing, request.settings)


def asked_sets(request: Request) -> dict[str, ImageSet]:
    """Return the declared sets that a request is for, by name.

    Raises:
        BadInputError: a set that was asked for is not declared.
    """
    declared = declared_sets(request)
    if request.slices is None:
        return declared
    asked = names_of(request.slices)
    for name in asked:
        if name not in declared:
            folder = request.settings.image_sets or f"{request.landing}/{FOLDER}"
            raise BadInputError(
                f"no image set {name!r} is declared; there are {', '.join(declared)}; declare others in {folder} "
                "(docs/image-sets.md)"
            )
    return {name: declared[name] for name in asked}


def expected_files(image_set: ImageSet) -> str:
    """Name the files of a set, as it declares them."""
    patterns = [pattern for files in image_set.files.values() for _, paths in files for pattern in paths or ()]
    return ", ".join([*image_set.archive, *patterns])
