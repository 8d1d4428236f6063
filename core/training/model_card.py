"""A model card in Markdown, made from what a run's files say: nothing in it was typed by hand.

The headings follow Mitchell et al. 2019, "Model Cards for Model Reporting".
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.classes import CLASS_NAMES
from core.evaluation.intervals import FEW_TILES
from core.evaluation.scores import AVERAGING_RULE
from core.training.recipe import Recipe, dump_recipe
from core.training.runs import Run, RunCard, read_recipe

FEW_INSTANCES = 20
_NAMED_TILES = 20

INTENDED_USE = (
    "Land cover from overhead RGB images at about 0.5 m a pixel, in the six classes of DeepGlobe: to map areas like "
    "those it was trained on, and to suggest labels that a person checks."
)
NOT_INTENDED = (
    "Not for other sensors, resolutions or landscapes before it was scored on them, nor for decisions about people, "
    "property or payments without a person who looks."
)


def model_card(run: Run, evaluations: Path | None = None) -> str:
    """The card of a run, as Markdown.

    ``evaluations`` is the workspace's folder of kept scores; by default the one beside the folder of runs. Raises
    ``InputError`` when the run's recipe cannot be read.
    """
    recipe = read_recipe(run.folder)
    kept = kept_evaluations(run, evaluations or run.folder.parent.parent / "evaluations")
    parts = [
        f"# {_plain(run.name)}",
        _summary(run.card, recipe),
        "## Intended use",
        INTENDED_USE,
        NOT_INTENDED,
        "## Training data",
        _data(run.card),
        "## Scores",
        _scores(run.card, kept),
        "## Limits",
        _list(limits(run.card, kept)),
        "## How it was made",
        _made(run.card),
        "### Recipe",
        f"```toml\n{dump_recipe(recipe).rstrip()}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def kept_evaluations(run: Run, folder: Path) -> list[dict[str, Any]]:
    """The scores on held-out tiles that were kept for this run after it was made; a file that is none is left out."""
    found = []
    for path in sorted((folder / run.name).glob("*.json")):
        try:
            result = json.loads(path.read_text())
            newer = result["measured_on"]["day"][:16] >= run.card.created[:16]
            if newer and result["miou"] is not None:
                found.append(result)
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return found


def limits(card: RunCard, evaluations: Sequence[dict[str, Any]]) -> list[str]:
    """What speaks against trusting the run, each in one sentence."""
    said = []
    if card.state == "cancelled":
        said.append("Training was stopped by hand before its end; this is the best there was by then.")
    if card.missing_classes:
        said.append(f"It never predicts {_and(card.missing_classes)}: nothing was labelled as such.")
    few = [
        f"{name} ({amount['instances']})"
        for name, amount in card.classes.items()
        if 0 < amount.get("instances", 0) < FEW_INSTANCES
    ]
    if few:
        said.append(f"Few labelled instances of {_and(few)}: another sample may give another score.")
    if not evaluations:
        said.append(_not_held_out(card))
    most = max([len(result["measured_on"]["tiles"]) for result in evaluations], default=0)
    if evaluations and most < FEW_TILES:
        said.append(f"It was scored on {_tiles(most)} only; the interval is wide for that.")
    said += card.warnings
    return said or ["None that was found by measuring; that is no proof that there are none."]


def cross_validation(card: RunCard) -> dict[str, Any] | None:
    """What the members of a run with folds made of the tiles that each had not seen, as ``summarise`` says it."""
    crossed: dict[str, Any] | None = card.measured.get("cross_validation")
    return crossed if crossed and crossed.get("miou") is not None else None


def _not_held_out(card: RunCard) -> str:
    if cross_validation(card):
        return (
            "Its members were scored on tiles that each had not seen, which tells of the recipe; their average, which "
            "is the model, was not."
        )
    if card.validation is None:
        return "It was never scored on tiles that it had not trained on: nothing is known of how good it is."
    return "Its only score is on the tiles that chose the best moment of training, which flatters it."


def _summary(card: RunCard, recipe: Recipe) -> str:
    kind = {"network": f"{recipe.decoder} decoder"}.get(recipe.kind, f"{recipe.kind} head on cached features")
    members = card.measured.get("members", 1)
    several = f" (the average of {members} members)" if members > 1 else ""
    return (
        f"A land-cover model: {kind}{several} on the encoder {_plain(card.encoder)}, trained {card.created[:10]} on "
        f"{_tiles(len(card.training_tiles))} with the recipe '{_plain(card.recipe_name)}'. "
        f"{card.head_parameters:,} trained and {card.encoder_parameters:,} encoder parameters."
    )


def _data(card: RunCard) -> str:
    source = "the masks that came with the tiles" if card.label_source == "given" else "labels painted for it"
    rows = [
        f"| {name} | {amount.get('instances', 0):,} | {amount.get('pixels', 0):,} |"
        for name, amount in card.classes.items()
    ]
    table = "\n".join(["| class | instances | labelled pixels |", "|---|---:|---:|", *rows])
    return (
        f"{_tiles(len(card.training_tiles)).capitalize()}: {_names(card.training_tiles)}. Labels: {source}, version "
        f"`{card.label_fingerprint or 'not kept'}`; images `{card.data_fingerprint or 'not kept'}`. Pixels without a "
        f"label took no part.{_split(card)}\n\n{table}"
    )


def _split(card: RunCard) -> str:
    """The named split that the tiles follow, where there is one."""
    if card.split is None:
        return ""
    judged = "" if card.split.fold is None else f", judged by fold {card.split.fold + 1}"
    return f" Split: '{_plain(card.split.name)}'{judged}, members `{card.split.members}`."


def _scores(card: RunCard, evaluations: Sequence[dict[str, Any]]) -> str:
    parts = [f"Averaging: {AVERAGING_RULE}."]
    for result in evaluations:
        measured = result["measured_on"]
        parts.append(
            f"**Held out: mIoU {result['miou']:.3f}{_interval_of(result)}**, accuracy {result['accuracy']:.3f}, on "
            f"{_tiles(len(measured['tiles']))} of {_plain(str(measured['collection']))} "
            f"({_names(measured['tiles'])}), {measured['day'][:10]}; truth: {measured['truth']}; "
            f"switches: {_switches(measured['switches'])}.\n\n{_by_class(result)}"
        )
    crossed = cross_validation(card)
    if crossed is not None:
        folds = len(card.measured.get("fold_members", []))
        parts.append(
            f"**Cross-validation: mIoU {crossed['miou']:.3f}{_interval_of(crossed)}**, accuracy "
            f"{crossed['accuracy']:.3f}, measured on {crossed['tiles']} left-out tiles: each of {folds} members on "
            f"those that it never saw. It tells of the recipe; the model is their average.{_note(crossed)}\n\n"
            f"{_by_class(crossed)}"
        )
    if card.validation is not None and card.validation.get("miou") is not None:
        tiles = card.validation.get("tiles", [])
        parts.append(
            f"**Validation: mIoU {card.validation['miou']:.3f}{_interval_of(card.validation)}**, accuracy "
            f"{card.validation['accuracy']:.3f}, on {_tiles(len(tiles))} ({_names(tiles)}). These tiles were watched "
            f"while it trained.{_note(card.validation)}\n\n{_by_class(card.validation)}"
        )
    crossed = card.measured.get("cross_validation")
    if crossed:
        parts.append(
            f"**Cross-validation: mIoU {crossed['miou']:.3f}{_interval(crossed['interval']['miou'])}**, accuracy "
            f"{crossed['accuracy']:.3f}: each of {_tiles(crossed['tiles'])} judged by the member that never saw it. It "
            f"tells of the recipe; the average has seen them all.\n\n{_by_class(crossed)}"
        )
    if len(parts) == 1:
        parts.append("None was measured.")
    return "\n\n".join(parts)


def _by_class(result: dict[str, Any]) -> str:
    intervals = (result.get("interval") or {}).get("iou", {})
    rows = [
        f"| {name} | {result['iou'][name]:.3f}{_interval(intervals.get(name))} | {result['precision'][name]:.3f} | "
        f"{result['recall'][name]:.3f} |"
        for name in CLASS_NAMES
        if name in result["iou"]
    ]
    return "\n".join(["| class | IoU | precision | recall |", "|---|---|---:|---:|", *rows])


def _made(card: RunCard) -> str:
    memory = f"{card.peak_memory_bytes / 2**30:.1f} GiB" if card.peak_memory_bytes else "not kept"
    device_memory = card.peak_device_memory_bytes
    lines = [
        f"Code {card.code_version or 'of a version that was not kept'}, recipe hash "
        f"`{card.recipe_hash or 'not kept'}`, seed {card.seed}.",
        f"On {card.device}: {card.features_seconds:g} s for features, {card.head_seconds:g} s of training; peak memory "
        f"{memory}" + (f", {device_memory / 2**30:.1f} GiB on the GPU." if device_memory else "."),
        *_workers(card.measured),
        f"Encoder weights: `{card.encoder_identity}`, licence {_plain(card.encoder_licence)}.",
        "Environment: " + ", ".join(f"{key} {_plain(value)}" for key, value in card.environment.items()) + "."
        if card.environment
        else "Environment: not kept.",
        "Packages: " + ", ".join(f"{name} {number}" for name, number in card.versions.items()) + ".",
    ]
    return _list(lines)


def _workers(measured: dict[str, Any]) -> list[str]:
    """Where the processes ran that trained together; nothing of one process alone."""
    nodes: dict[str, int] = measured.get("nodes", {})
    named = [f"{_plain(name)} ({count})" for name, count in nodes.items()]
    return [f"Trained by {measured['workers']} workers that shared each batch, on {_and(named)}."] if named else []


def _switches(switches: dict[str, Any]) -> str:
    on = [f"{name} {value}" for name, value in switches.items() if value not in ("none", 0)]
    return ", ".join(on) or "none"


def _interval(interval: Sequence[float] | None) -> str:
    return f" (95 % interval {interval[0]:.3f} to {interval[1]:.3f})" if interval else ""


def _interval_of(result: dict[str, Any]) -> str:
    return _interval((result.get("interval") or {}).get("miou"))


def _note(result: dict[str, Any]) -> str:
    """The warning of few tiles, where there is one."""
    return f" **{result['note']}**" if result.get("note") else ""


def _tiles(count: int) -> str:
    return f"{count} tile{'' if count == 1 else 's'}"


def _names(names: Sequence[str] | dict[str, str]) -> str:
    listed = [_plain(name) for name in names]
    more = f" and {len(listed) - _NAMED_TILES} more" if len(listed) > _NAMED_TILES else ""
    return ", ".join(listed[:_NAMED_TILES]) + more


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def _list(sentences: Sequence[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _plain(text: str) -> str:
    """Text from outside, its marks escaped: a name may hold anything, and a card is shown as Markdown."""
    return "".join(f"\\{mark}" if mark in "\\`*_{}[]<>#|~$" else mark for mark in text.replace("\n", " "))
