"""Encoders' weights from the hub, fetched before a fit needs them: so that the download is seen and can be stopped."""

from core.errors import InputError
from core.progress import Progress
from core.training.joined_features import recipe_encoders
from core.training.recipe import Recipe
from models.encoders import HUB, fetch_weights
from models.errors import ModelError

_MEGA = 1e6


def fetch_recipe_weights(recipe: Recipe, progress: Progress) -> None:
    """Fetch what the recipe wants of the hub and is not here; asks no network where nothing is missing.

    Raises ``InputError`` where they cannot be had, and ``CancelledError``; then nothing half-fetched is left.
    """
    pairs = [(recipe.encoder, recipe.weights)] if recipe.kind == "network" else recipe_encoders(recipe)
    for name in dict.fromkeys(name for name, weights in pairs if weights == HUB):

        def tell(come: int, total: int, name: str = name) -> None:
            share = f"{come / _MEGA:.0f} of {total / _MEGA:.0f} MB"
            progress.update(come, total, f"Fetching the weights of {name} from the hub: {share}")

        try:
            fetch_weights(name, tell)
        except ModelError as error:
            raise InputError(str(error)) from error
