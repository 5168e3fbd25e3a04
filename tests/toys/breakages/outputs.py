"""What a model predicts, and how it is labelled."""

from toys.breakage import adds, breakage, copied, model

FORWARD = copied("mt_shared.model.base.BaseModel.forward")


def predicting(old: str, new: str) -> str:
    """How a model predicts, with some of its text replaced."""
    return copied("mt_shared.model.base.BaseModel.forward", (old, new))


def collecting(old: str, new: str) -> str:
    """How values of atoms become outputs, with some of its text replaced."""
    return copied("mt_shared.model.outputs.collect", (old, new))


BREAKAGES = [
    breakage(
        "forgets_units",
        model("""
            def supported_outputs(self) -> Dict[str, ModelOutput]:
                return {name: ModelOutput(sample_kind="atom") for name in self.outputs}
        """),
        fails="test_targets_are_outputs[module]",
        says="'energy' is in ''; expected 'eV'",
        passes="test_empty_selection[module] test_batches_agree[module]",
    ),
    breakage(
        "numbers_atoms_through",
        model(
            FORWARD,
            collecting(
                "samples = atom_samples(systems)",
                "samples = atom_samples(systems)\n"
                "    samples[:, 1] = torch.arange(len(samples), dtype=torch.int32)",
            ),
        ),
        fails="test_labels_and_shapes[module]",
        says="'energy' of atoms: samples",
        passes="test_targets_are_outputs[module] test_atoms_sum_to_the_structure[module] "
        "test_single_atom[module]",
    ),
    breakage(
        "is_not_connected",
        model("""
            def features(self, graph: Graph) -> torch.Tensor:
                return torch.zeros(
                    (len(graph.species), self.num_features), dtype=graph.vectors.dtype
                )
        """),
        fails="test_predictions_depend_on_the_structure[module]",
        says="three distorted molecules have values within",
        passes="test_labels_and_shapes[module] test_empty_selection[module] "
        "test_single_atom[module]",
    ),
    breakage(
        "averages_over_atoms",
        model(
            FORWARD,
            collecting(
                "totals = totals.index_add(0, owners, values)",
                "totals = totals.index_add(0, owners, values) / len(values) * len(systems)",
            ),
        ),
        fails="test_atoms_sum_to_the_structure[module]",
        says="sum of 'energy' over atoms",
        passes="test_labels_and_shapes[module] test_selected_atoms[module] "
        "test_single_atom[module]",
    ),
    breakage(
        "selects_the_first_atoms",
        model(FORWARD, collecting("values = values[selected]", "values = values[: len(selected)]")),
        fails="test_selected_atoms[module]",
        says="'energy' of selected atoms",
        passes="test_empty_selection[module] test_labels_and_shapes[module] "
        "test_batches_agree[module]",
    ),
    breakage(
        "sums_all_in_spite_of_a_selection",
        model(
            FORWARD,
            collecting(
                "totals = totals.index_add(0, owners, values)",
                "totals = totals.index_add(0, all_owners, atomic[name])",
            ).replace("    dtype = systems[0]", "    all_owners = owners\n    dtype = systems[0]"),
        ),
        fails="test_structures_with_selected_atoms[module]",
        says="'energy' of structures with selected atoms",
        passes="test_selected_atoms[module] test_empty_selection[module] "
        "test_atoms_sum_to_the_structure[module]",
    ),
    breakage(
        "takes_an_empty_selection_for_none",
        model(
            FORWARD,
            collecting(
                "if selected is not None:", "if selected is not None and len(selected) > 0:"
            ),
        ),
        fails="test_empty_selection[module]",
        says="rows for an empty selection",
        passes="test_selected_atoms[module] test_labels_and_shapes[module]",
    ),
    breakage(
        "divides_by_the_number_of_edges",
        model(adds("x + vectors.square().sum() / len(vectors)")),
        fails="test_single_atom[module]",
        says="'energy' of one atom is [[nan]]",
        passes="test_labels_and_shapes[module] test_atoms_sum_to_the_structure[module]",
    ),
    breakage(
        "divides_by_the_size_of_the_structure",
        model(adds("x + 1.0 / torch.bincount(graph.system)[graph.system].unsqueeze(1)")),
        fails="test_far_apart_adds_up[module]",
        says="'energy' of parts far apart",
        passes="test_batches_agree[module] test_selected_atoms[module] test_single_atom[module]",
    ),
    breakage(
        "subtracts_the_mean_of_the_batch",
        model(adds("x + 0.01 * graph.species.to(vectors.dtype).mean()")),
        fails="test_batches_agree[module]",
        says="in one batch and one by one",
        passes="test_atoms_sum_to_the_structure[module] test_selected_atoms[module] "
        "test_single_atom[module]",
    ),
    breakage(
        "divides_by_the_volume",
        model(
            adds(
                "x + (1.0 / (1.0 + torch.det(graph.cells)))[graph.system].unsqueeze(1)",
                reads_positions=True,
            )
        ),
        fails="test_partly_periodic[module-2D]",
        says="'energy' of a partly periodic structure",
        passes="test_batches_agree[module] test_far_apart_adds_up[module] "
        "test_selected_atoms[module]",
    ),
    breakage(
        "keeps_one_edge_of_two_atoms",
        model("""
            def features(self, graph: Graph) -> torch.Tensor:
                pairs = graph.centers * len(graph.species) + graph.neighbors
                order = torch.argsort(pairs, stable=True)
                pairs = pairs[order]
                first = torch.ones_like(pairs, dtype=torch.bool)
                first[1:] = pairs[1:] != pairs[:-1]
                kept = order[first]
                return self.pair_features(
                    graph.vectors[kept], graph.species, graph.centers[kept], graph.neighbors[kept]
                )
        """),
        fails="test_tiny_cell[module]",
        says="'energy' of supercells",
        passes="test_batches_agree[module] test_far_apart_adds_up[module] test_single_atom[module]",
    ),
    breakage(
        "needs_a_small_cell",
        model(
            adds(
                "x + (torch.det(graph.cells) / 1e3).floor()[graph.system].unsqueeze(1)",
                reads_positions=True,
            )
        ),
        fails="test_large_cell[module]",
        says="'energy' of a molecule in a large cell",
        passes="test_batches_agree[module] test_far_apart_adds_up[module] test_tiny_cell[module]",
    ),
    breakage(
        "has_features_that_are_nan",
        model(predicting("return collect(", 'atomic["feature"] *= torch.nan\n    return collect(')),
        fails="test_features[module]",
        says="'feature' is not finite",
        passes="test_labels_and_shapes[module] test_batches_agree[module]",
    ),
    breakage(
        "changes_an_output_another_one_reads",
        model(
            predicting(
                "return collect(",
                'if len(outputs) > 1:\n        atomic["energy"] += 1.0\n    return collect(',
            )
        ),
        fails="test_several_outputs_at_once[module]",
        says="'energy' among others",
        passes="test_labels_and_shapes[module] test_features[module] test_batches_agree[module]",
    ),
]
