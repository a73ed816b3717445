"""The hidden states that are wanted, and no others.

Hooks on the blocks keep the wanted states, so that every other one is freed as soon as the next
block has had it. Blocks behind the last wanted state are dropped with their weights.
"""

from __future__ import annotations

from typing import Any


class WantedLayers:
    """A model of the library that is run for some of its layers."""

    def __init__(self, model: Any, names: tuple[str, ...]) -> None:
        """Drop what lies behind the last wanted layer.

        Args:
            model: A model of the library; it is changed.
            names: Layers 0..N by their numbers, or `last`: the model's own last hidden state.
        """
        self._model, self._names = model, names
        stack = _stack(model)
        if "last" not in names:
            # Layer 0 is seen where block 1 is given it, so one block stays.
            stack.layers = stack.layers[: max(1, *(int(name) for name in names))]
        self._blocks = stack.layers

    def run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The wanted hidden states by name: [B, T, D] each.

        Args:
            inputs: The model's arguments.
        """
        kept: dict[str, Any] = {}
        hooks = []
        for name in self._names:
            if name == "0":
                hook = _keep_input(kept)
                hooks.append(self._blocks[0].register_forward_pre_hook(hook, with_kwargs=True))
            elif name != "last":
                hook = _keep_output(kept, name)
                hooks.append(self._blocks[int(name) - 1].register_forward_hook(hook))
        try:
            last = self._model(**inputs).last_hidden_state
        finally:
            for handle in hooks:
                handle.remove()
        if "last" in self._names:
            kept["last"] = last
        return kept


def depth(model: Any) -> int:
    """Number of blocks (N)."""
    return len(_stack(model).layers)


def blocks_of(model: Any) -> Any:
    """Its blocks, in order."""
    return _stack(model).layers


def ends_with_its_last_block(model: Any, inputs: dict[str, Any]) -> bool:
    """Whether the last hidden state is the last block's output, with no norm after it.

    One block stands in for all of them: it is what follows the stack that is looked for.

    Args:
        model: A model of the library, where `inputs` are.
        inputs: Any arguments of it.
    """
    import torch

    stack = _stack(model)
    blocks, stack.layers = stack.layers, stack.layers[:1]
    kept: dict[str, Any] = {}
    handle = stack.layers[0].register_forward_hook(_keep_output(kept, "1"))
    try:
        with torch.no_grad():  # what a model keeps of it, such as angles, may be trained with
            last = model(**inputs).last_hidden_state
    finally:
        handle.remove()
        stack.layers = blocks
    return torch.equal(last, kept["1"])


def _stack(model: Any) -> Any:
    """The module that runs the blocks one after the other: Whisper's encoder is one itself."""
    return model if hasattr(model, "layers") else model.encoder


def _keep_input(kept: dict[str, Any]) -> Any:
    def hook(module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        kept["0"] = args[0] if args else kwargs["hidden_states"]

    return hook


def _keep_output(kept: dict[str, Any], name: str) -> Any:
    def hook(module: Any, args: tuple[Any, ...], output: Any) -> None:
        kept[name] = output[0] if isinstance(output, tuple) else output

    return hook
