"""What may change when a training goes on from a checkpoint: the keyword ``atRestart`` of schemas.

============== =================================================================================
``free``       may change without a word: how long to train, what is logged, where a file lies
``on_request`` changes the course of the training, and is obeyed if the user asks for it
``fixed``      took effect when the training began, and could only be ignored
============== =================================================================================

Where the keyword is absent, the state is that of the section above; at the top it is ``fixed``.
"""

from collections.abc import Mapping
from typing import Literal

from mt_shared.options.faults import KeyPath
from mt_shared.options.hypers import HypersEntry, engine_schema, engine_schemas
from mt_shared.options.schemas import Schema, SchemaSet

RestartState = Literal["free", "on_request", "fixed"]


def state_at_restart(
    path: KeyPath, schema: Schema, referenced: Mapping[str, Schema] | None = None
) -> RestartState:
    """Whether the value at ``path`` of what ``schema`` describes may change at a restart.

    :param referenced: the schemas that ``schema`` refers to by URN
    """
    state: RestartState = "fixed"
    # what no schema describes has nothing of its own to say
    for node in SchemaSet(schema, referenced or {}).along(path):
        state = node.get("atRestart", state)
    return state


def hyper_at_restart(entry: HypersEntry, path: KeyPath) -> RestartState:
    """The same of a hyper of an architecture; ``path`` begins with ``model`` or ``training``.

    Without a schema the hypers of the engine have the state that the engine gives them, and the
    model is as it was made. Of all else nothing is known, and the user decides.
    """
    if entry.schema is not None:
        return state_at_restart(path, entry.schema, engine_schemas())
    section, *below = path
    if section == "training" and below and below[0] in engine_schema()["properties"]:
        return state_at_restart(tuple(below), engine_schema(), engine_schemas())
    return "fixed" if section == "model" else "on_request"
