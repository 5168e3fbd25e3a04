"""The option ``zbl``: repulsion of nuclei as a baseline."""

from toys.breakage import breakage, copied, model, trainer


def predicting(old: str, new: str) -> str:
    """How a model predicts, with some of its text replaced."""
    return copied("mt_shared.model.base.BaseModel.forward", (old, new))


BREAKAGES = [
    breakage(
        "ignores_the_option_zbl",
        model("""
            def __init__(self, hypers: Dict[str, Any], dataset_info: DatasetInfo):
                super().__init__({**hypers, "zbl": False}, dataset_info)
        """),
        fails="test_adds_the_published_repulsion[CO]",
        says="repulsion of CO",
        passes="test_forces_of_the_repulsion_are_derivatives "
        "test_stress_of_the_repulsion_is_a_derivative",
    ),
    breakage(
        "detaches_the_repulsion",
        model(predicting("repulsion.unsqueeze(1)", "repulsion.detach().unsqueeze(1)")),
        fails="test_forces_of_the_repulsion_are_derivatives",
        says="forces against finite differences",
        passes="test_adds_the_published_repulsion[CO] "
        "test_gradients.py::test_forces_are_derivatives",
    ),
    breakage(
        "detaches_the_repulsion_across_the_boundary",
        model(
            predicting(
                "self.repulsion(graph)",
                "self.repulsion(without_strain(graph))",
            )
            + "reads_positions = True",
            """
            def without_strain(graph: Graph) -> Graph:
                periodic = graph.cells.det().abs()[graph.system[graph.centers]] > 0
                vectors = graph.vectors
                return Graph(
                    torch.where(periodic.unsqueeze(1), vectors.detach(), vectors),
                    graph.species,
                    graph.centers,
                    graph.neighbors,
                    graph.system,
                    graph.num_atoms,
                    graph.inputs,
                    graph.reverse,
                    graph.positions,
                    graph.cells,
                    graph.pbc,
                    graph.shifts,
                )
            """,
        ),
        fails="test_stress_of_the_repulsion_is_a_derivative",
        says="stress against finite differences",
        passes="test_adds_the_published_repulsion[CO] test_forces_of_the_repulsion_are_derivatives",
    ),
    breakage(
        "does_not_repel_after_a_training",
        model("""
            def export(self, metadata=None):
                exported = SoundModel.export(self, metadata)
                exported.module.repelled = {}
                return exported
        """),
        fails="test_trained_model_repels[CO]",
        says="repulsion of CO after a training",
        passes="test_adds_the_published_repulsion[CO] test_forces_of_the_repulsion_are_derivatives",
    ),
    breakage(
        "leaves_the_repulsion_in_the_labels",
        trainer(
            copied(
                "mt_shared.engine.trainer.Trainer._prepare",
                ("train_datasets = without_repulsion(model, train_datasets)", ""),
                ("val_datasets = without_repulsion(model, val_datasets)", ""),
            )
        ),
        fails="test_labels_that_are_repulsion_leave_nothing_to_learn",
        says="the repulsion was not taken off the labels",
        passes="test_adds_the_published_repulsion[CO] test_forces_of_the_repulsion_are_derivatives",
    ),
]
