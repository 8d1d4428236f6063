"""What two runs were made from differently, as far as it bears on comparing them."""

from core.classes import CLASS_NAMES
from core.training.runs import RunCard


def what_differs(name_a: str, a: RunCard, name_b: str, b: RunCard) -> list[str]:
    """One sentence for each: classes that only one of them learnt, other labels. Empty where nothing is known to.

    A run that was imported says nothing of its labels, so nothing is said of it.
    """
    if not (a.label_fingerprints and b.label_fingerprints):
        return []
    sentences = [_other_classes(name_a, a, name_b, b), _other_labels(name_a, a, name_b, b)]
    return [sentence for sentence in sentences if sentence]


def _other_classes(name_a: str, a: RunCard, name_b: str, b: RunCard) -> str:
    lacking = {name: set(card.missing_classes) for name, card in ((name_a, a), (name_b, b))}
    parts = [
        f"{name} never saw {_listed([c for c in CLASS_NAMES if c in lacking[name] - lacking[other]])} in its training"
        for name, other in ((name_a, name_b), (name_b, name_a))
        if lacking[name] - lacking[other]
    ]
    return f"Other classes: {' and '.join(parts)}, so that it cannot find it." if parts else ""


def _other_labels(name_a: str, a: RunCard, name_b: str, b: RunCard) -> str:
    if a.label_source != b.label_source:
        return (
            f"Other labels: {name_a} learnt from {_source(a)} and {name_b} from {_source(b)}, so a difference may be "
            "that of the labels and not of the models."
        )
    common = a.label_fingerprints.keys() & b.label_fingerprints.keys()
    changed = sorted(tile for tile in common if a.label_fingerprints[tile] != b.label_fingerprints[tile])
    if not changed:
        return ""
    return (
        f"Other label versions: the labels of {_listed(changed)} changed between the training of {name_a} and of "
        f"{name_b}, so a difference may be that of the labels and not of the models."
    )


def _source(card: RunCard) -> str:
    return "the masks that came with the tiles" if card.label_source == "given" else "labels that were painted here"


def _listed(names: list[str], limit: int = 6) -> str:
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    return ", ".join(names[:limit]) + rest
