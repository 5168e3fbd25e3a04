"""Every dtype and device that an architecture names."""

from toys.breakage import breakage, model

BREAKAGES = [
    breakage(
        "is_in_float64_whatever_it_is_told",
        model("""
            __jit_unused_properties__ = ["dtype"]

            @property
            def dtype(self) -> torch.dtype:
                return torch.float64
        """),
        fails="test_dtypes_are_kept[float32]",
        says="a model in float32 is exported in torch.float64",
        passes="test_dtypes_are_kept[float64] test_outputs.py::test_labels_and_shapes[module] "
        "test_outputs.py::test_batches_agree[module]",
    ),
]
