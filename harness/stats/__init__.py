"""Plain sequences or counts in, intervals, tests and plans out. Public and pure; scipy and statsmodels do the sums.

Scores are numbers; None, NaN or pandas' NA is an ungraded item, which never counts as 0. Differences are first minus second.
Clusters are labels, one an item; None or "" makes an item its own cluster. Intervals are two-sided, 95 % by default.

| function | gives | source |
|---|---|---|
| mean_and_error(scores) | (mean, standard error) | ddof=1 |
| mean_interval(scores, clusters) | (low, high), Student | Liang-Zeger when clustered |
| clustered_standard_error(scores, clusters, correction) | standard error, CR1 or CR0 | Miller 2024; Liang, Zeger 1986 |
| seed_variance(scores) | SeedVariance, k - 1 degrees; one seed: "not measured" | Student |
| wilson_interval(successes, n, continuity) | (low, high) | Wilson 1927; Newcombe 1998 |
| clustered_wilson_interval(scores, clusters) | (low, high) at the effective n | Korn, Graubard 1998 |
| clopper_pearson_interval(successes, n) | (low, high) | Clopper, Pearson 1934 |
| binary_counts(scores) | (successes, graded) | |
| pair_by_id(a, b, minimum_coverage) | PairedItems: intersection, coverage of the union | |
| paired_counts(a, b) | PairedCounts: the 2 x 2 table | McNemar 1947 |
| paired_difference(a, b, clusters) | PairedDifference: mean, error, t interval, p | Miller 2024 |
| paired_interval(a, b, clusters) | (low, high): Tango, design effect, or t with a floor | Tango 1998; Rao, Scott 1992 |
| paired_p_value(a, b, clusters) | two-sided p that agrees with paired_interval | the same |
| mcnemar_exact(b, c, mid_p) | two-sided p | binomial |
| tango_interval(b, c, n) | (low, high) of (b - c) / n | Tango 1998 |
| tango_p_value(b, c, n, difference) | one-sided (p of >=, p of <=) | Tango 1998 |
| non_inferiority(candidate, baseline, margin, clusters) | NonInferiority: PASS, FAIL, INCONCLUSIVE | Blackwelder 1982 |
| cluster_bootstrap(scores, clusters) | Bootstrap: estimate, error, percentile interval | Field, Welsh 2007 |
| paired_bootstrap(a, b, clusters) | Bootstrap of the difference | the same |
| bootstrap_optimism(rows, clusters) | Optimism of the best row | Efron, Tibshirani 1993 |
| expected_best_of(num_configurations, n, p) | optimism of the best of k equals | exact binomial maximum |
| holm(p_values) | adjusted p, for claims | Holm 1979 |
| benjamini_hochberg(p_values) | adjusted p, for screens | Benjamini, Hochberg 1995 |
| max_t(differences, clusters) | MaxT: adjusted p, simultaneous intervals | Hothorn, Bretz, Westfall 2008 |
| best_set(rows, clusters) | BestSet: rows not told apart from the best | Edwards, Hsu 1983 |
| power_paired(n, difference, discordance) | power of McNemar's test | Connor 1987 |
| power_mcnemar_exact(n, difference, discordance) | power of its exact form | enumeration |
| sample_size_paired(difference, discordance) | pairs needed | Connor 1987 |
| minimum_detectable_difference(n, discordance) | smallest difference found with 80 % power | Connor 1987 |
| sample_size_non_inferiority(margin, discordance, drop) | pairs needed to decide | Blackwelder 1982 |
| cohen_kappa(a, b) | Kappa with interval | Cohen 1960; Fleiss et al. 1969 |
| clustered_cohen_kappa(a, b, clusters) | Kappa, interval widened by the design effect | Rao, Scott 1992 |
| fleiss_kappa(ratings) | Kappa with jackknife interval | Fleiss 1971 |
| prediction_powered_mean(labels, judged_labelled, judged_unlabelled) | corrected mean | Angelopoulos et al. 2023, PPI++ |
| prediction_powered_mean(..., power_tuning=False) | plain PPI | Angelopoulos et al. 2023 |
| ungraded_share(scores) | share of None and NaN | |
"""

from harness.stats.agreement import Kappa, clustered_cohen_kappa, cohen_kappa, fleiss_kappa
from harness.stats.means import SeedVariance, clustered_standard_error, mean_and_error, mean_interval, seed_variance
from harness.stats.multiplicity import BestSet, MaxT, benjamini_hochberg, best_set, expected_best_of, holm, max_t
from harness.stats.noninferiority import NonInferiority, non_inferiority, paired_interval, paired_p_value
from harness.stats.paired import (
    PairedCounts,
    PairedDifference,
    PairedItems,
    mcnemar_exact,
    pair_by_id,
    paired_counts,
    paired_difference,
    tango_interval,
    tango_p_value,
    ungraded_share,
)
from harness.stats.power import (
    minimum_detectable_difference,
    power_mcnemar_exact,
    power_paired,
    sample_size_non_inferiority,
    sample_size_paired,
)
from harness.stats.prediction_powered import PredictionPoweredMean, prediction_powered_mean
from harness.stats.proportions import (
    binary_counts,
    clopper_pearson_interval,
    clustered_wilson_interval,
    wilson_interval,
)
from harness.stats.resampling import Bootstrap, Optimism, bootstrap_optimism, cluster_bootstrap, paired_bootstrap

__all__ = [
    "BestSet",
    "Bootstrap",
    "Kappa",
    "MaxT",
    "NonInferiority",
    "Optimism",
    "PairedCounts",
    "PairedDifference",
    "PairedItems",
    "PredictionPoweredMean",
    "SeedVariance",
    "benjamini_hochberg",
    "best_set",
    "binary_counts",
    "bootstrap_optimism",
    "clopper_pearson_interval",
    "cluster_bootstrap",
    "clustered_cohen_kappa",
    "clustered_standard_error",
    "clustered_wilson_interval",
    "cohen_kappa",
    "expected_best_of",
    "fleiss_kappa",
    "holm",
    "max_t",
    "mcnemar_exact",
    "mean_and_error",
    "mean_interval",
    "minimum_detectable_difference",
    "non_inferiority",
    "pair_by_id",
    "paired_bootstrap",
    "paired_counts",
    "paired_difference",
    "paired_interval",
    "paired_p_value",
    "power_mcnemar_exact",
    "power_paired",
    "prediction_powered_mean",
    "sample_size_non_inferiority",
    "sample_size_paired",
    "seed_variance",
    "tango_interval",
    "tango_p_value",
    "ungraded_share",
    "wilson_interval",
]
