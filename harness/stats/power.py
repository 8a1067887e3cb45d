"""Assumptions in, plans out for paired 0/1 answers: how many items, which power, the smallest difference found.

`discordance` is the share of items that exactly one of the two runs answers right (b + c over n); `difference` is
(b - c) / n and cannot exceed it. Sources: Connor 1987 (Biometrics 43:207) for McNemar's test, by the normal
approximation; exact enumeration of the binomial for power_mcnemar_exact; Blackwelder 1982 for non-inferiority with
the variance of Nam 1997 at the margin. Sizes are rounded up. The approximation is good from about 10 discordant
pairs; below it, use the exact one.
"""

from __future__ import annotations

import math

import numpy as np

from harness.stats.inputs import count, fraction

LARGEST_SIZE = 100_000_000  # beyond any data set; a plan that needs more is told so


def power_paired(n: int, difference: float, discordance: float, alpha: float = 0.05) -> float:
    """Power of the two-sided McNemar test at n pairs: Phi((|d| sqrt(n) - z sqrt(psi)) / sqrt(psi - d^2))."""
    from scipy.stats import norm

    items = count(n, "n")
    effect = _effect(difference, discordance)
    critical = float(norm.isf(fraction(alpha, "alpha") / 2.0))
    reach = effect * math.sqrt(items) - critical * math.sqrt(discordance)
    spread = math.sqrt(discordance - effect * effect)
    return float(norm.cdf(reach / spread)) if spread > 0 else float(reach >= 0)


def sample_size_paired(difference: float, discordance: float, power: float = 0.8, alpha: float = 0.05) -> int:
    """Pairs needed to find `difference` with McNemar's test. Raises ValueError on a difference of 0."""
    from scipy.stats import norm

    effect = _effect(difference, discordance)
    if effect == 0:
        raise ValueError("a difference of 0 cannot be found with any number of items; give the smallest that matters")
    z_alpha, z_beta = norm.isf(fraction(alpha, "alpha") / 2.0), norm.ppf(fraction(power, "power"))
    root = z_alpha * math.sqrt(discordance) + z_beta * math.sqrt(discordance - effect * effect)
    return _size((root / effect) ** 2)


def minimum_detectable_difference(n: int, discordance: float, power: float = 0.8, alpha: float = 0.05) -> float:
    """The smallest difference that McNemar's test finds with `power` at n pairs.

    When no difference within `discordance` can be found, the discordance is taken as the difference itself: fewer
    discordant pairs than that cannot produce it. Raises ValueError when n is too small for any difference.
    """
    from scipy.optimize import brentq

    fraction(power, "power")

    def shortfall(difference: float) -> float:
        return power_paired(n, difference, max(discordance, difference), alpha) - power

    if not 0.0 <= discordance <= 1.0:
        raise ValueError(f"discordance is in [0, 1], got {discordance}")
    if shortfall(1.0) < 0:
        raise ValueError(f"{n} pairs cannot show any difference at alpha {alpha}; use more items")
    return float(brentq(shortfall, 1e-12, 1.0, xtol=1e-12))


def power_mcnemar_exact(n: int, difference: float, discordance: float, alpha: float = 0.05) -> float:
    """Power of the exact two-sided McNemar test at n pairs, by enumerating every table. O(n^2) tables."""
    from scipy.stats import binom

    items = count(n, "n")
    effect = _effect(difference, discordance)
    fraction(alpha, "alpha")
    if items == 0 or discordance == 0:
        return 0.0
    share = (1.0 + effect / discordance) / 2.0  # of discordant pairs, those on the better side
    total = 0.0
    for discordant in range(1, items + 1):
        wins = np.arange(discordant + 1)
        p_values = np.minimum(1.0, 2.0 * binom.cdf(np.minimum(wins, discordant - wins), discordant, 0.5))
        rejected = binom.pmf(wins, discordant, share)[p_values <= alpha].sum()
        total += float(binom.pmf(discordant, items, discordance)) * float(rejected)
    return total


def sample_size_non_inferiority(
    margin: float, discordance: float, drop: float = 0.0, power: float = 0.8, alpha: float = 0.025
) -> int:
    """Pairs needed to decide against `margin` when the true drop is `drop`: PASS when it is below, FAIL when above.

    (z_alpha sd(margin) + z_power sd(drop))^2 / (margin - drop)^2 with sd(d)^2 = max(psi, |d|) - d^2; `alpha` is
    one-sided. Raises ValueError when the drop is the margin: no number of items tells them apart.
    """
    from scipy.stats import norm

    if not 0.0 < margin < 1.0:
        raise ValueError(f"a margin is in (0, 1), got {margin}")
    _effect(drop, max(discordance, abs(drop)))
    if math.isclose(margin, drop, abs_tol=1e-9):
        raise ValueError(f"a true drop of exactly the margin ({margin}) is undecidable with any number of items")
    at_margin = math.sqrt(max(discordance, margin) - margin * margin)
    at_drop = math.sqrt(max(discordance, abs(drop)) - drop * drop)
    root = norm.isf(fraction(alpha, "alpha")) * at_margin + norm.ppf(fraction(power, "power")) * at_drop
    return _size((root / (margin - drop)) ** 2)


def _effect(difference: float, discordance: float) -> float:
    if not 0.0 <= discordance <= 1.0:
        raise ValueError(f"discordance is in [0, 1], got {discordance}")
    if abs(difference) > discordance:
        raise ValueError(
            f"a difference of {difference} needs at least that share of discordant pairs, got {discordance}"
        )
    return abs(float(difference))


def _size(exact: float) -> int:
    if exact > LARGEST_SIZE:
        raise ValueError(f"this plan needs more than {LARGEST_SIZE:,} items; choose a larger margin or difference")
    return max(1, math.ceil(exact - 1e-9))
