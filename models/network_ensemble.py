"""Several networks of one recipe as one: the mean of their probabilities.

Networks that were trained on a frozen encoder have it in common. It then runs once for all of them and stands once in
the file, so that five decoders cost little more than one.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from models.build import NETWORKS, TrainableNetwork
from models.network_context import Context
from models.networks import NetworkOutput, SegmentationNetwork

_LEAST = 1e-7  # keeps the logarithm of an averaged probability finite
_COMMON = ("encoder", "input")


class NetworkEnsemble(nn.Module):
    """Members of equal settings; it predicts as one of them does, and is not trained.

    ``alignment``, ``smallest``, ``needs_context``, ``needs_place``, ``at_training_size`` and ``whole_tile`` are the
    members'.
    ``one_encoder``: all have the first member's encoder and input; None finds out by comparing them. Raises
    ``ValueError`` without a member, or where their settings differ.
    """

    kind = "network-ensemble"

    def __init__(self, members: Sequence[TrainableNetwork], *, one_encoder: bool | None = None) -> None:
        super().__init__()
        if not members or any(member.settings() != members[0].settings() for member in members):
            raise ValueError("an ensemble needs members, and all of the same settings")
        first = members[0]
        self.encoder_identity = first.encoder_identity
        self.alignment, self.smallest = first.alignment, first.smallest
        self.whole_tile = first.whole_tile
        self.needs_context, self.needs_place = first.needs_context, first.needs_place
        self.at_training_size = first.at_training_size
        self.one_encoder = _alike(members) if one_encoder is None else one_encoder
        if self.one_encoder:
            for member in members[1:]:
                member.encoder, member.input = first.encoder, first.input
        self.members = nn.ModuleList(members)
        self.register_state_dict_post_hook(_leave_out_common)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_pre_hook(_put_back_common)  # type: ignore[no-untyped-call]

    def forward(self, images: Tensor, context: Context | None = None) -> NetworkOutput:
        """The logarithms of the mean probabilities, as ``SegmentationNetwork.forward`` gives logits."""
        total = torch.zeros((), device=images.device)
        for output in self._outputs(images, context):
            total = total + output.logits.float().softmax(dim=1)
        return NetworkOutput((total / len(self.members)).clamp(min=_LEAST).log(), [], None)

    def _outputs(self, images: Tensor, context: Context | None) -> Iterator[NetworkOutput]:
        first = self.members[0]
        encoded = first.encode(images, context) if self.one_encoder and isinstance(first, SegmentationNetwork) else None
        for member in self.members:
            if encoded is not None and isinstance(member, SegmentationNetwork):
                yield member.decode(encoded, images, context)
            else:
                yield member(images, context)

    def settings(self) -> dict[str, object]:
        """What it takes to build this ensemble again, besides its tensors."""
        return {
            "count": len(self.members),
            "one_encoder": self.one_encoder,
            "kind": self._first.kind,
            "network": self._first.settings(),
        }

    @property
    def _first(self) -> TrainableNetwork:
        first: TrainableNetwork = self.members[0]  # type: ignore[assignment]  # ModuleList forgets what it holds
        return first


def empty_ensemble(*, count: int, one_encoder: bool, kind: str, network: dict[str, Any]) -> NetworkEnsemble:
    """An ensemble of untrained members, for ``settings()`` of another."""
    return NetworkEnsemble([NETWORKS[kind](**network) for _ in range(count)], one_encoder=one_encoder)


def _alike(members: Sequence[TrainableNetwork]) -> bool:
    """Whether encoder and input of all members hold the same tensors."""
    if not isinstance(members[0], SegmentationNetwork):
        return False  # GLNet trains its encoders
    for part in _COMMON:
        first = getattr(members[0], part).state_dict()
        for member in members[1:]:
            other = getattr(member, part).state_dict()
            if any(not torch.equal(tensor, other[name]) for name, tensor in first.items()):
                return False
    return True


def _is_common(ensemble: nn.Module, key: str) -> bool:
    """Whether a tensor of a later member, by its name in the ensemble, is the first one's as well."""
    _, number, part, *_ = key.split(".")
    return bool(ensemble.one_encoder) and number != "0" and part in _COMMON


def _leave_out_common(ensemble: nn.Module, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
    for key in [key for key in state if key.startswith(prefix) and _is_common(ensemble, key.removeprefix(prefix))]:
        del state[key]


def _put_back_common(ensemble: nn.Module, state: dict[str, Any], prefix: str, *_rest: Any) -> None:
    for key in ensemble.members.state_dict(prefix="members."):  # type: ignore[union-attr]
        if _is_common(ensemble, key):
            _, _, *name = key.split(".")
            state[prefix + key] = state[".".join([f"{prefix}members", "0", *name])]
