"""A comparison as plain values."""

from __future__ import annotations

from dataclasses import asdict

from Med3DCore.training.comparison.comparison import Arm, Comparison
from Med3DCore.training.comparison.measures import RULE
from Med3DCore.training.comparison.report import findings


def to_dict(comparison: Comparison) -> dict:
    """Plain values for JSON: the plan, every training with its curve, and what follows."""
    base = comparison.fastest(comparison.baseline)
    inits = [{"name": init.name, "source": init.told} for init in comparison.plan.inits]
    return {
        "plan": asdict(comparison.plan) | {"inits": inits},
        "labels": list(comparison.labels),
        "held_out": list(comparison.held_out),
        "level": round(comparison.level, 4),
        "rule": RULE,
        "findings": findings(comparison),
        "arms": [_arm_to_dict(comparison, arm, base) for arm in comparison.arms],
        "saving": {
            init.name: [_final(arm) for arm in comparison.saving(init.name)]
            for init in comparison.plan.inits
            if len(comparison.plan.shares) > 1
        },
        "runs": [{**asdict(outcome.run), **_rounded(asdict(outcome))} for outcome in comparison.outcomes],
    }


def _arm_to_dict(comparison: Comparison, arm: Arm, base: Arm) -> dict:
    gain = comparison.gain(arm, comparison.arm(comparison.baseline, arm.rate))
    speed = comparison.speed(arm, base)
    return {
        **_final(arm),
        "is_best_rate": arm.rate == comparison.best(arm.init).rate,
        "steps_to_level": arm.steps_to(comparison.level),
        "steps_to_own": arm.steps_to_own(comparison.plan.threshold),
        "gain_at_same_rate": gain and asdict(gain) | {"is_shown": gain.is_shown},
        "speed_against_fastest_baseline": asdict(speed) | {"p": speed.p, "is_shown": speed.is_shown},
        "seconds": round(arm.seconds, 1),
    }


def _final(arm: Arm) -> dict:
    final = arm.final and asdict(arm.final)
    return {"init": arm.init, "rate": arm.rate, "share": arm.share, "patients": arm.patients, "final": final}


def _rounded(outcome: dict) -> dict:
    curve = [[step, round(score, 4)] for step, score in outcome["curve"]]
    return {key: value for key, value in outcome.items() if key != "run"} | {"curve": curve}
