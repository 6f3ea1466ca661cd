"""Files of images become Parquet data files of bronze.images, written by Spark tasks side by side, a delivery each.

No image passes through the JVM. Least and greatest value and the sums per channel are counted here, where the bytes are
arrays anyway, so that nothing later has to look into the pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from lakehouse.config.settings import Settings
from lakehouse.lake.schema import arrow_schema
from lakehouse.tables.vision import BRONZE_IMAGES
from spark_jobs.engine.files import ROW_GROUP_BYTES, DataFile, FileWriter, Target, partition_path
from spark_jobs.sources.base import UnreadableFileError
from spark_jobs.sources.image_bytes import Bytes, Records, read_cifar10, read_cifar10_archive, read_idx
from spark_jobs.sources.landing import read_bytes
from spark_jobs.vision.deliveries import ImageDelivery, ImageFile, Place, batch_place

MEASURED_ROWS = 1024
"""Images whose squares are held at once."""


@dataclass(frozen=True)
class Load:
    """How many images a delivery brought to one part of a split."""

    split: str
    part: str
    rows: int


@dataclass(frozen=True)
class ConvertedImages:
    """What became of a delivery: data files and what they hold, or why it could not be read."""

    delivery: ImageDelivery
    data_files: tuple[DataFile, ...] = ()
    loads: tuple[Load, ...] = ()
    unreadable: str | None = None


def convert_delivery(target: Target, delivery: ImageDelivery) -> ConvertedImages:
    """Write one delivery's images; what can't be read leaves nothing behind but its reason."""
    if delivery.refusal is not None:
        return ConvertedImages(delivery, unreadable=delivery.refusal)
    writer = FileWriter(target, hashlib.sha256(delivery.read_as.encode()).hexdigest()[:12])
    loads = []
    try:
        for place, member, records in read_delivery(delivery, target.settings):
            check_shape(delivery, records)
            partition = partition_path({"dataset": delivery.image_set.name, "split": place.split})
            for batch in batches_of(target, delivery, place, member, records):
                writer.write(partition, pa.Table.from_batches([batch]))
            loads.append(Load(place.split, place.part, len(records.labels)))
        if len({(load.split, load.part) for load in loads}) != len(loads):
            raise UnreadableFileError("two members of the archive are the same batch")
    except UnreadableFileError as error:
        writer.discard()
        return ConvertedImages(delivery, unreadable=error.reason)
    return ConvertedImages(delivery, writer.close(), tuple(loads))


def read_delivery(delivery: ImageDelivery, settings: Settings) -> Iterator[tuple[Place, str, Records]]:
    """Yield the images of a delivery with their place and the archive's member that they come from.

    Raises:
        UnreadableFileError: a file is not what its path says, or has changed since it was planned.
    """
    content, path = read_planned(delivery.images, settings)
    if delivery.labels is not None:
        labels, labels_path = read_planned(delivery.labels, settings)
        yield delivery.place, "", read_idx(content, path, labels, labels_path)
    elif delivery.place.role == "archive":
        image_set = delivery.image_set
        for member, records in read_cifar10_archive(content, path, lambda name: bool(batch_place(image_set, name))):
            place = batch_place(image_set, member)
            if place is not None:
                yield place, member, records
    else:
        yield delivery.place, "", read_cifar10(content, path)


def read_planned(file: ImageFile | None, settings: Settings) -> tuple[bytes, str]:
    """Read a file whole, with its path; it must have the bytes that it had when the run was planned."""
    if file is None:
        raise ValueError("a delivery without images is refused before it is read")
    content = read_bytes(file.landed.url, settings)
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise UnreadableFileError(f"{file.landed.path}: changed while it was being read; deliver it again")
    return content, file.landed.path


def check_shape(delivery: ImageDelivery, records: Records) -> None:
    """Refuse images of another height or width than the declared ones."""
    _, height, width = records.shape
    declared = (delivery.image_set.height or height, delivery.image_set.width or width)
    if (height, width) != declared:
        path = delivery.images.landed.path if delivery.images else ""
        raise UnreadableFileError(
            f"{path}: images of {height} x {width} pixels; the set {delivery.image_set.name} is declared with "
            f"{declared[0]} x {declared[1]}"
        )


def batches_of(
    target: Target, delivery: ImageDelivery, place: Place, member: str, records: Records
) -> Iterator[pa.RecordBatch]:
    """Yield the images as rows of bronze.images, some megabytes at a time."""
    schema = arrow_schema(BRONZE_IMAGES)
    images, labels = delivery.images, delivery.labels
    if images is None:
        raise ValueError("a delivery without images is refused before it is read")
    channels, height, width = records.shape
    fixed = {
        "source": delivery.image_set.format,
        "dataset": delivery.image_set.name,
        "split": place.split,
        "delivery_part": place.part,
        "height": height,
        "width": width,
        "channels": channels,
        "_label_file": labels.landed.path if labels else None,
        "_label_sha256": labels.sha256 if labels else None,
        "_source_file": images.landed.path,
        "_source_member": member,
        "_source_sha256": images.sha256,
        "_ingested_at": target.started_at,
    }
    count = len(records.labels)
    step = max(1, ROW_GROUP_BYTES // records.pixels.shape[1])
    for start in range(0, count, step):
        pixels = np.ascontiguousarray(records.pixels[start : start + step])
        rows = len(pixels)
        columns = {name: pa.repeat(pa.scalar(value, schema.field(name).type), rows) for name, value in fixed.items()}
        columns |= measure(pixels, channels)
        columns["raw_label"] = pa.array(records.labels[start : start + step], pa.int32())
        columns["raw_pixels"] = as_binary(pixels)
        columns["pixels_sha256"] = pa.array([hashlib.sha256(row).hexdigest() for row in pixels], pa.string())
        columns["_source_record"] = pa.array(np.arange(start, start + rows, dtype=np.int64))
        yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def as_binary(pixels: Bytes) -> pa.Array:
    """Wrap rows of bytes as Arrow's binary without a copy."""
    rows, width = pixels.shape
    offsets = np.arange(rows + 1, dtype=np.int32) * width
    return pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(pixels)])


def measure(pixels: Bytes, channels: int) -> dict[str, pa.Array]:
    """Return least and greatest value of each image, and sums and square sums of each of its channels."""
    by_channel = pixels.reshape(len(pixels), channels, -1)
    sums = by_channel.sum(axis=2, dtype=np.int64)
    squares = np.empty_like(sums)
    for start in range(0, len(pixels), MEASURED_ROWS):
        part = by_channel[start : start + MEASURED_ROWS].astype(np.uint16)  # 255 squared fits
        squares[start : start + MEASURED_ROWS] = np.square(part).sum(axis=2, dtype=np.int64)
    offsets = pa.array(np.arange(len(pixels) + 1, dtype=np.int32) * channels)
    return {
        "pixel_min": pa.array(pixels.min(axis=1).astype(np.int32)),
        "pixel_max": pa.array(pixels.max(axis=1).astype(np.int32)),
        "channel_sums": pa.ListArray.from_arrays(offsets, pa.array(sums.ravel())),
        "channel_square_sums": pa.ListArray.from_arrays(offsets, pa.array(squares.ravel())),
    }
