"""Fine-tuning by each method that an architecture names in its capabilities."""

from toys.breakage import breakage, trainer

BREAKAGES = [
    breakage(
        "delivers_the_model_it_started_from",
        trainer(
            """
            def train(self, model, *arguments):
                state = copy.deepcopy(model.state_dict())
                super().train(model, *arguments)
                if self.context == "finetune":
                    self._training.best = replace(self._training.best, state=dict(state))
        """,
            "from dataclasses import replace",
        ),
        fails="test_method_trains_and_exports[full]",
        says="the model predicts what it predicted before",
        passes="test_training.py::test_loss_falls",
    ),
    breakage(
        "decays_what_is_frozen",
        trainer("""
            def after_backward(self, model):
                super().after_backward(model)
                with torch.no_grad():
                    for parameter in model.parameters():
                        if not parameter.requires_grad:
                            parameter.mul_(0.999)
        """),
        fails="test_frozen_weights_keep_their_bits[heads]",
        says="'heads' has changed every parameter",
        also={
            "test_heads_on_a_new_target_leave_the_old_one": "the old target has changed",
        },
        passes="test_method_trains_and_exports[heads] test_training.py::test_loss_falls",
    ),
    breakage(
        "inherits_no_heads",
        trainer("""
            def _prepare(self, model, *arguments):
                self.hypers["finetune"]["inherit_heads"] = {}
                return super()._prepare(model, *arguments)
        """),
        fails="test_heads_are_inherited",
        says="the difference of the two targets",
        passes="test_training.py::test_loss_falls",
    ),
]
