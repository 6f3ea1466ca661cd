"""Which image sets a run is of: the one that was asked for, or every declared one that there is anything of."""

from __future__ import annotations

from dataclasses import replace

from lakehouse.errors import BadInputError
from lakehouse.reference.image_set import FOLDER, ImageSet, declared_image_sets
from spark_jobs.engine.job import Request
from spark_jobs.engine.manifest import accepted, read_manifest
from spark_jobs.sources.landing import list_landing
from spark_jobs.vision.deliveries import DATASET, find_place
from spark_jobs.vision.image_manifest import set_of


def asked_sets(request: Request) -> dict[str, ImageSet]:
    """Return the declared sets that a request is for, by name.

    Raises:
        BadInputError: a set that was asked for is not declared.
    """
    declared = declared_image_sets(request.landing, request.settings)
    if request.days is None:
        return declared
    for name in request.days:
        if name not in declared:
            folder = request.settings.image_sets or f"{request.landing}/{FOLDER}"
            raise BadInputError(
                f"no image set {name!r} is declared; there are {', '.join(declared)}; declare others in {folder} "
                "(docs/image-sets.md)"
            )
    return {name: declared[name] for name in request.days}


def requests_per_set(request: Request) -> list[Request]:
    """Return a request for each set that has files in the landing folder or images in bronze.

    Raises:
        BadInputError: the one that was asked for has neither.
    """
    sets = asked_sets(request)
    landed = list_landing(request.landing, request.settings)
    name_of_landing = request.landing.rstrip("/").rpartition("/")[2]
    loaded = {set_of(entry) for entry in accepted(read_manifest(request.settings), DATASET)}
    present = [
        name
        for name, image_set in sets.items()
        if name in loaded or any(find_place(image_set, file.path, name_of_landing) for file in landed)
    ]
    missing = sorted(set(request.days or ()).difference(present))
    if missing:
        raise BadInputError(f"{request.landing} holds no file of {missing[0]}; expected {expected(sets[missing[0]])}")
    return [replace(request, days=(name,)) for name in present]


def expected(image_set: ImageSet) -> str:
    """Name the files of a set, as it declares them."""
    patterns = [pattern for files in image_set.files.values() for _, paths in files for pattern in paths or ()]
    return ", ".join([*image_set.archive, *patterns])
