"""Where the random draws of a layer stand: no weight, and lost on saving if nobody keeps it."""

from __future__ import annotations

from typing import Any

_NAME = "random_state"


class KeepsRandomState:
    """Lets a layer with a `seed_generator`, or None for that, save it beside its weights.

    It comes in front of the Keras layer among the base classes.
    """

    seed_generator: Any

    def save_own_variables(self, store: Any) -> None:
        """What Keras writes of the layer, and the state."""
        super().save_own_variables(store)  # type: ignore[misc]
        if self.seed_generator is not None:
            store[_NAME] = self.seed_generator.state

    def load_own_variables(self, store: Any) -> None:
        """What Keras reads of the layer, and the state if it is there."""
        # Keras counts the entries. Its store is no dict, and can be asked for its keys alone.
        stored = {name: store[name] for name in store.keys()}  # noqa: SIM118
        state = stored.pop(_NAME, None)
        super().load_own_variables(stored)  # type: ignore[misc]
        if self.seed_generator is not None and state is not None:
            self.seed_generator.state.assign(state)
