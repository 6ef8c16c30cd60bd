"""Predict a missing attribute, and find out whether the prediction is worth anything.

The model is multinomial logistic regression with an L2 penalty over words that are there or not
(one-hot): the plainest model whose probabilities can be believed when there are few examples. How
good it is is measured on customers it has not seen: folds keep households together, because people
who live together are alike. Its probabilities are calibrated by one temperature (Guo et al., "On
Calibration of Modern Neural Networks", ICML 2017). The interval of the gain over the majority is a
percentile bootstrap over households (Efron and Tibshirani, 1993).

Pure functions over arrays: no table, no Dagster. The same input gives the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FOLDS = 5
PENALTIES = (30.0, 10.0, 3.0)
"""Strengths of the L2 penalty that are tried, strongest first; the held-out log loss decides."""

DRAWS = 2_000
BINS = 10
STEPS = 60


@dataclass(frozen=True)
class Quality:
    """How well an attribute is predicted, on known values that the model had not seen.

    Shares are of the known values. `low` and `high` bound `accuracy - baseline` (95 %). The log
    losses (nats) compare the calibrated model with always giving the shares of the values.
    `calibration_error` is the mean distance between confidence and hit rate over ten bins.
    """

    known: int
    accuracy: float
    baseline: float
    low: float
    high: float
    log_loss: float
    baseline_log_loss: float
    calibration_error: float
    confident_share: float
    confident_accuracy: float | None

    @property
    def beats_the_majority(self) -> bool:
        """Whether the gain over the majority is more than chance explains."""
        return self.low > 0

    def holds(self, confidence: float) -> bool:
        """Whether it beats the majority, and is right as often as it says where it is so sure."""
        sure = self.confident_accuracy
        return self.beats_the_majority and sure is not None and sure >= confidence


@dataclass(frozen=True)
class Model:
    """A trained model: weights (features + 1, values; the last row is the intercept)."""

    values: tuple[str, ...]
    weights: Floats
    temperature: float

    def predict(self, features: "csr_matrix") -> tuple[Ints, Floats]:
        """The likeliest value of each row, as its place in `values`, and how likely it is."""
        chances = _softmax(_scores(features, self.weights) / self.temperature)
        best = chances.argmax(axis=1)
        return best, chances[np.arange(len(best)), best]


def learn(
    features: "csr_matrix",
    labels: Ints,
    values: Sequence[str],
    households: Ints,
    folds: Ints,
    confidence: float,
    seed: int,
) -> tuple[Model, Quality]:
    """Train a model on all rows, and measure models trained on the other folds on each fold.

    `labels` are places in `values`, -1 for a value too rare to be learned: such rows count as
    missed by the model and by the majority. `folds` (0 to FOLDS - 1) must not split `households`.
    """
    learnable = labels >= 0
    held_out = np.zeros((len(PENALTIES), len(labels), len(values)))
    baseline = np.zeros((len(labels), len(values)))
    for fold in range(FOLDS):
        test = folds == fold
        train = ~test & learnable
        if not test.any() or not train.any():
            continue
        shares = _shares(labels[train], len(values))
        baseline[test] = np.log(shares)
        weights = _start(features.shape[1], shares)
        for i, penalty in enumerate(PENALTIES):
            weights = _fit(features[train], labels[train], weights, penalty)
            held_out[i, test] = _scores(features[test], weights)
    losses = [_calibrated(scores[learnable], labels[learnable]) for scores in held_out]
    best = min(range(len(PENALTIES)), key=lambda i: losses[i][1])
    temperature, loss = losses[best]
    chances = _softmax(held_out[best] / temperature)
    guess = chances.argmax(axis=1)
    sure = chances[np.arange(len(guess)), guess]
    hit = guess == labels
    usual = baseline.argmax(axis=1) == labels
    low, high = _interval(hit.astype(np.int64) - usual.astype(np.int64), households, seed)
    confident = sure >= confidence
    quality = Quality(
        known=len(labels),
        accuracy=float(hit.mean()),
        baseline=float(usual.mean()),
        low=low,
        high=high,
        log_loss=loss,
        baseline_log_loss=_log_loss(baseline[learnable], labels[learnable]),
        calibration_error=_calibration_error(sure, hit),
        confident_share=float(confident.mean()),
        confident_accuracy=float(hit[confident].mean()) if confident.any() else None,
    )
    weights = _start(features.shape[1], _shares(labels[learnable], len(values)))
    weights = _fit(features[learnable], labels[learnable], weights, PENALTIES[best])
    return Model(tuple(values), weights, temperature), quality


def _fit(features: "csr_matrix", labels: Ints, start: Floats, penalty: float) -> Floats:
    """Weights with the least penalised loss; the intercept is free."""
    from scipy.optimize import minimize

    rows = len(labels)
    flipped = features.T.tocsr()
    truth = np.zeros((rows, start.shape[1]))
    truth[np.arange(rows), labels] = 1.0

    def loss(flat: Floats) -> tuple[float, Floats]:
        weights = flat.reshape(start.shape)
        chances = _softmax(_scores(features, weights))
        free = weights[:-1]
        value = -np.log(np.maximum(chances[np.arange(rows), labels], 1e-300)).sum()
        error = chances - truth
        slope = np.vstack([flipped @ error + penalty * free, error.sum(axis=0)])
        return (value + penalty / 2 * (free**2).sum()) / rows, slope.ravel() / rows

    found: Any = minimize(
        loss, start.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": STEPS}
    )
    weights: Floats = found.x.reshape(start.shape)
    return weights


def _start(features: int, shares: Floats) -> Floats:
    return np.vstack([np.zeros((features, len(shares))), np.log(shares)])


def _scores(features: "csr_matrix", weights: Floats) -> Floats:
    scores: Floats = features @ weights[:-1] + weights[-1]
    return scores


def _softmax(scores: Floats) -> Floats:
    grown = np.exp(scores - scores.max(axis=1, keepdims=True))
    chances: Floats = grown / grown.sum(axis=1, keepdims=True)
    return chances


def _shares(labels: Ints, values: int) -> Floats:
    """Shares of the values, each counted once more than it occurs so that none is impossible."""
    counts = np.bincount(labels, minlength=values) + 1.0
    shares: Floats = counts / counts.sum()
    return shares


def _log_loss(scores: Floats, labels: Ints) -> float:
    chances = _softmax(scores)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chances, 1e-300)).mean())


def _calibrated(scores: Floats, labels: Ints) -> tuple[float, float]:
    """The temperature that makes held-out scores fit best, and the log loss that is left."""
    from scipy.optimize import minimize_scalar

    found: Any = minimize_scalar(
        lambda log: _log_loss(scores / np.exp(log), labels), bounds=(-1.5, 2.0), method="bounded"
    )
    return float(np.exp(found.x)), float(found.fun)


def _calibration_error(sure: Floats, hit: npt.NDArray[np.bool_]) -> float:
    bins = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
    gap = np.bincount(bins, sure - hit, minlength=BINS)
    return float(np.abs(gap).sum() / len(sure))


def _interval(gain: Ints, households: Ints, seed: int) -> tuple[float, float]:
    """95 % interval of the mean gain when households are drawn again with replacement.

    Households with the same size and gain are one cell of a multinomial, so the cost does not grow
    with their number.
    """
    _, home = np.unique(households, return_inverse=True)
    each = np.stack([np.bincount(home), np.bincount(home, gain).astype(np.int64)], axis=1)
    cells, counts = np.unique(each, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(counts.sum(), counts / counts.sum(), DRAWS)
    means = (drawn @ cells[:, 1]) / (drawn @ cells[:, 0])
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)
