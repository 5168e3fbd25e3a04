"""metatomic's ``ModelMetadata`` to and from plain values."""

from typing import Any

from metatomic.torch import ModelMetadata

FIELDS = ("name", "description", "authors", "references", "extra")


def metadata_to_dict(metadata: ModelMetadata) -> dict[str, Any]:
    """Plain values, as checkpoints hold them."""
    return {
        "name": metadata.name,
        "description": metadata.description,
        "authors": list(metadata.authors),
        "references": {section: list(items) for section, items in metadata.references.items()},
        "extra": dict(metadata.extra),
    }


def metadata_from_dict(values: dict[str, Any]) -> ModelMetadata:
    """The inverse of :func:`metadata_to_dict`; fields may be left out."""
    return ModelMetadata(**{name: values[name] for name in FIELDS if values.get(name)})
