"""A comparison as sentences and as tables."""

from __future__ import annotations

from collections.abc import Sequence

from Med3DCore.training.comparison.comparison import Arm, Comparison
from Med3DCore.training.comparison.measures import LEAST_SEEDS, RULE, Difference, Speed, median_steps

Rows = list[list[str]]


def findings(comparison: Comparison) -> list[str]:
    """What came out, in sentences that claim no more than the trainings show."""
    plan = comparison.plan
    base = comparison.best(comparison.baseline)
    sentences = [*comparison.warnings]
    sentences += [
        f"{arm.init} at rate {arm.rate:g}: {len(arm.outcomes) - len(arm.scores)} of {len(arm.outcomes)} trainings "
        "broke off, since the loss was no longer a number."
        for arm in comparison.arms
        if len(arm.scores) < len(arm.outcomes)
    ]
    if len(plan.seeds) == 1:
        sentences.append("One seed has no spread: whether a difference is more than chance is not known.")
    for init in plan.inits[1:]:
        arm = comparison.best(init.name)
        sentences.append(_quality(arm, base, comparison.gain(arm, base)))
        sentences.append(_pace(comparison, comparison.fastest(init.name), comparison.fastest(comparison.baseline)))
    if len(plan.inits) == 1:
        sentences.append(_reached(comparison, comparison.fastest(comparison.baseline)))
    if len(plan.shares) > 1:
        sentences += [sentence for init in plan.inits for sentence in _saved(comparison, init.name)]
    held_out = len(comparison.held_out)
    sentences.append(
        f"All this is about {held_out} held-out case{'s' * (held_out > 1)}"
        + (", on which the better learning rate of each start was also chosen." if len(plan.rates) > 1 else ".")
    )
    return sentences


def _quality(arm: Arm, base: Arm, gain: Difference | None) -> str:
    """Which of two is better in the end."""
    if gain is None:
        return f"{_named(arm)} and {_named(base)} have no finished training with the same seed to compare."
    both = f"{_named(arm)} ends at Dice {_spread(arm)}, {_named(base)} at {_spread(base)}"
    if gain.low is None:
        return f"{both}: {gain.mean:+.3f} with the one seed."
    interval = f"{gain.mean:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f}"
    if not gain.is_shown:
        return f"{both}: no difference beyond the spread of {gain.n} seeds ({interval})."
    return f"{both}: {'better' if gain.mean > 0 else 'worse'} ({interval}, {gain.n} seeds)."


def _pace(comparison: Comparison, arm: Arm, base: Arm) -> str:
    """Which of two is there sooner."""
    speed = comparison.speed(arm, base)
    both = (
        f"{_goal(comparison)} {_named(arm)} took {_steps(comparison, arm)}, {_named(base)} {_steps(comparison, base)}"
    )
    first = f"first with {speed.earlier} of {speed.n} seed{'s' * (speed.n != 1)}"
    if speed.has_too_few_seeds:
        return (
            f"{both}: which is sooner cannot be told with {speed.n} seed{'s' * (speed.n != 1)} ({first}, later with "
            f"{speed.later}); it takes {LEAST_SEEDS}."
        )
    if not speed.is_shown:
        return f"{both}: no difference in speed beyond chance ({first}, later with {speed.later}, p {speed.p:.2f})."
    return f"{both}: {_times(speed)} ({first}, p {speed.p:.3f})."


def _goal(comparison: Comparison) -> str:
    return f"To {_percent(comparison.plan.threshold)} of the best score of all (Dice {comparison.level:.3f})"


def _reached(comparison: Comparison, arm: Arm) -> str:
    return f"{_goal(comparison)} {_named(arm)} took {_steps(comparison, arm)}."


def _saved(comparison: Comparison, init: str) -> list[str]:
    """With how few patients a start is as good as the baseline with all; nothing of the baseline if it needs all."""
    arm, full = comparison.needed(init), comparison.best(comparison.baseline)
    if arm == full:
        return []
    goal = f"as good as {full.init} with all {full.patients} ({_spread(full)})"
    if arm is None:
        return [f"{init} is with no tried number of patients {goal}."]
    fewer = 1 - arm.patients / full.patients
    saved = f"{_percent(fewer)} fewer, by the means alone, which may be chance" if fewer else "with fewer it is not"
    return [f"{init} is with {_patients(arm)} ({_spread(arm)}) {goal}: {saved}{_other_seeds(comparison, init)}."]


def _other_seeds(comparison: Comparison, init: str) -> str:
    """How far the number of patients that suffice depends on the seeds."""
    needed = comparison.needed_range(init)
    if needed is None:
        return ""
    low, high = ("more than there are" if arm is None else str(arm.patients) for arm in needed)
    return f"; with these seeds drawn anew, {low}" + ("" if low == high else f" to {high}") + " (95 % of draws)"


def table(comparison: Comparison) -> Rows:
    """A row for each start and rate, with all patients; the first row is the head."""
    part = _percent(comparison.plan.threshold)
    head = ["start", "rate", "n", "Dice mean ± sd", "range", f"vs {comparison.baseline}, same rate (95 %)"]
    rows = [[*head, f"steps to {comparison.level:.3f}", f"to {part} of own best", "times as fast"]]
    base = comparison.fastest(comparison.baseline)
    for arm in comparison.arms:
        best = " *" if len(comparison.plan.rates) > 1 and arm.rate == comparison.best(arm.init).rate else ""
        same = comparison.arm(comparison.baseline, arm.rate)
        own = arm.steps_to_own(comparison.plan.threshold)
        rows.append(
            [
                arm.init,
                f"{arm.rate:g}{best}",
                str(len(arm.scores)),
                _spread(arm),
                f"{arm.final.min:.3f}-{arm.final.max:.3f}" if arm.final else "-",
                "-" if arm.init == comparison.baseline else _gain(comparison.gain(arm, same)),
                _short_steps(comparison, arm),
                "never" if own is None else f"{own:g}",
                "1" if arm == base else _ratio(comparison.speed(arm, base)),
            ]
        )
    return rows


def saving_table(comparison: Comparison) -> Rows:
    """A row for each start, a column for each number of patients; empty if all learned from all."""
    if len(comparison.plan.shares) == 1:
        return []
    first = comparison.saving(comparison.baseline)
    head = ["start", "rate", *(f"{_patients(arm)} ({_percent(arm.share)})" for arm in first)]
    rows = [head]
    for init in comparison.plan.inits:
        arms = comparison.saving(init.name)
        rows.append([init.name, f"{arms[0].rate:g}", *map(_spread, arms)])
    return rows


def notes(comparison: Comparison) -> list[str]:
    """How to read the tables."""
    base = comparison.fastest(comparison.baseline)
    stars = "* is the rate with the best final score. " if len(comparison.plan.rates) > 1 else ""
    return [
        f"{stars}Steps are those of the first validation that was so good, median of the seeds; 'times as fast' "
        f"compares them with {_named(base)}, its fastest rate. n is the number of seeds, whose range the "
        "picture shows as bands and bars.",
        RULE,
    ]


def as_text(rows: Rows) -> str:
    """A table for the terminal."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def as_markdown(comparison: Comparison, title: str, picture: str) -> str:
    """The whole report.

    Args:
        comparison: What is reported.
        title: Its heading.
        picture: Name of the picture beside it.
    """
    tables = [_markdown_table(rows) for rows in (table(comparison), saving_table(comparison)) if rows]
    sentences = "\n".join(f"- {sentence}" for sentence in findings(comparison))
    parts = [f"# {title}", sentences, *tables, *notes(comparison), f"![Curves]({picture})"]
    return "\n\n".join(parts) + "\n"


def _markdown_table(rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def _percent(part: float) -> str:
    return f"{100 * part:.0f} %"


def _patients(arm: Arm) -> str:
    return f"{arm.patients} patient" + "s" * (arm.patients != 1)


def _named(arm: Arm) -> str:
    return f"{arm.init} (rate {arm.rate:g})"


def _spread(arm: Arm) -> str:
    if arm.final is None:
        return "broke off"
    return f"{arm.final.mean:.3f}" + (f" ± {arm.final.sd:.3f}" if arm.final.sd is not None else "")


def _gain(gain: Difference | None) -> str:
    if gain is None:
        return "-"
    if gain.low is None:
        return f"{gain.mean:+.3f}"
    return f"{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def _steps(comparison: Comparison, arm: Arm) -> str:
    """Such as ``"60 steps (2 of 3 seeds)"``."""
    steps = arm.steps_to(comparison.level)
    reached, median = sum(value is not None for value in steps.values()), median_steps(steps.values())
    seeds = f"{reached} of {len(steps)} seeds came there"
    if median is None:
        return f"more than its {comparison.steps} steps ({seeds})"
    return f"{median:g} steps" + (f" ({seeds})" if reached < len(steps) else "")


def _short_steps(comparison: Comparison, arm: Arm) -> str:
    steps = arm.steps_to(comparison.level)
    reached, median = sum(value is not None for value in steps.values()), median_steps(steps.values())
    text = "never" if reached == 0 else f"> {comparison.steps}" if median is None else f"{median:g}"
    return text + (f" ({reached} of {len(steps)})" if 0 < reached < len(steps) else "")


def _ratio(speed: Speed) -> str:
    if speed.ratio is None:
        return "-"
    return ("≥ " if speed.bound else "") + f"{speed.ratio:.1f}"


def _times(speed: Speed) -> str:
    if speed.ratio is None:
        return "never there, so it cannot be faster"
    return f"{speed.bound} {speed.ratio:.1f} times as fast".lstrip()
