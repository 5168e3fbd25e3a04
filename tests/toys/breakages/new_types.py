"""A model that meets atomic types it was not made for."""

from toys.breakage import breakage, copied, model

BREAKAGES = [
    breakage(
        "mixes_up_types_when_it_grows",
        model("""
            def grown_axes(self, old):
                ((sizes, places),) = SoundModel.grown_axes(self, old).items()
                return {sizes: places.flip(0)}
        """),
        fails="test_old_types_keep_their_values",
        says="'energy' in the larger model",
        passes="test_new_types_have_values test_larger_model_comes_back_from_its_checkpoint "
        "test_checkpoints.py::test_restart_with_equal_data_changes_nothing",
    ),
    breakage(
        "does_not_look_at_types",
        model("""
            def features(self, graph: Graph) -> torch.Tensor:
                alike = torch.zeros_like(graph.species)
                return self.pair_features(
                    graph.vectors, alike, graph.centers, graph.neighbors
                )
        """),
        fails="test_new_types_have_values",
        says="nitrogen and chlorine change nothing",
        passes="test_old_types_keep_their_values test_larger_model_comes_back_from_its_checkpoint",
    ),
    breakage(
        "forgets_that_it_has_grown",
        model("""
            def _extended(self, atomic_types):
                model = SoundModel._extended(self, atomic_types)
                model.pair_features.basis.centers_R = 1.01 * model.pair_features.basis.centers_R
                model.type_groups = [list(atomic_types)]
                return model
        """),
        fails="test_larger_model_comes_back_from_its_checkpoint",
        says="instead of",
        passes="test_new_types_have_values "
        "test_checkpoints.py::test_restart_with_equal_data_changes_nothing",
    ),
    breakage(
        "claims_more_types_than_it_has_met",
        model(
            copied(
                "mt_shared.model.base.BaseModel.export",
                ("atomic_types=self.atomic_types", "atomic_types=[*self.atomic_types, 17]"),
            )
        ),
        fails="test_finetuning_meets_new_types",
        says="the exported model knows the types [1, 6, 7, 8, 17]; expected [1, 6, 7, 8]",
        passes="test_old_types_keep_their_values test_new_types_have_values "
        "test_larger_model_comes_back_from_its_checkpoint",
    ),
    breakage(
        "has_a_list_with_a_network_for_each_type",
        model("""
            def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
                super().__init__(hypers, dataset_info)
                networks = [torch.nn.Linear(1, 1) for _ in self.atomic_types]
                self.networks = torch.nn.ModuleList(networks)
        """),
        fails="test_checkpoints.py::test_restart_with_a_new_element",
        says="'networks' grows from 3 to 4 entries, which are known by their places alone",
        passes="test_checkpoints.py::test_restart_with_equal_data_changes_nothing "
        "test_checkpoints.py::test_model_checkpoint_is_plain",
    ),
]
