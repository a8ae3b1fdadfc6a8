"""What a run notes of its sites: what they hold, who outweighs the rest, what nobody validates."""

from collections.abc import Mapping

from fedvox.admission.registration import Registration

DOMINANT = 0.9
"""Share of all cases from which the run warns of the one site that holds them."""


def registration_text(own: Registration) -> str:
    """What a site holds, in one line for the log and the rounds' notes."""
    if own.external:
        tests = ", ".join(f"{n} {name}" for name, n in sorted(own.test.items()) if n)
        return f"it only tests ({tests or 'no case'})"
    counts = ", ".join(f"{n} {name}" for name, n in sorted(own.validation.items()) if n)
    return (
        f"{own.cases} training cases ({', '.join(own.trained)}), {counts or 'none'} for validation"
    )


def dominant_sites(registrations: Mapping[str, Registration], by_cases: bool = True) -> list[str]:
    """Sites whose word alone decides, one line each with the remedy; none among fewer than two.

    Args:
        registrations: what counts of the sites that take part.
        by_cases: training cases weigh the updates.
    """
    found = []
    if by_cases and (top := _dominant({site: own.cases for site, own in registrations.items()})):
        found.append(
            f"{top}training cases: the mean is almost its update alone; if that is not so, set "
            "'training.client_weight' to uniform or 'training.most_cases' to what a site can have"
        )
    for name in sorted({name for own in registrations.values() for name in own.validation}):
        held = {site: own.validation.get(name, 0) for site, own in registrations.items()}
        if top := _dominant(held):
            found.append(
                f"{top}validation cases of {name}: its word almost alone chooses the best model "
                f"for {name}; if that is not so, set 'training.most_cases' to what a site can have"
            )
    return found


def _dominant(cases: Mapping[str, int]) -> str:
    """Who holds more than nine tenths, as the beginning of a line; empty where nobody does."""
    holders = {site: count for site, count in cases.items() if count > 0}
    total = sum(holders.values())
    top = max(sorted(holders), key=lambda site: holders[site], default="")
    if len(holders) < 2 or holders[top] <= DOMINANT * total:
        return ""
    return f"{top} registered {holders[top]} of all {total} "


def validation_gaps(registrations: Mapping[str, Registration]) -> list[str]:
    """Modalities that are trained and that no site validates, one line each with the remedy."""
    trained = {name for own in registrations.values() for name in own.trained}
    held = {
        name for own in registrations.values() for name, count in own.validation.items() if count
    }
    if not registrations or not trained - held:
        return []
    if not held:
        return [
            "no site has a validation case: the last model will be taken without a choice; "
            "give sites validation cases ('split' in the site file)"
        ]
    return [
        f"no site has a validation case of {name}: it has no say in the choice of the best model; "
        "give a site that holds it validation cases ('split' in the site file)"
        for name in sorted(trained - held)
    ]
