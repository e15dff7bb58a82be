"""Train a dozen small networks on scikit-learn's handwritten digits, each logged as a run.

    python examples/digits.py [--epochs 40] [--runs 12] [--pace 0.25]

The network (one hidden layer, softmax, mini-batch SGD with momentum) is a few lines of NumPy, so that the
example needs nothing but scikit-learn's bundled data. `kiseki up` shows the runs while they go.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import kiseki

GRID = {
    "learning_rate": [0.1, 0.03, 0.01],
    "hidden": [16, 64],
    "activation": ["relu", "tanh"],
}


@dataclass
class Network:
    """One hidden layer; `weights` are [w1, b1, w2, b2], `speeds` their momentum."""

    weights: list[np.ndarray]
    speeds: list[np.ndarray]
    activation: str

    @classmethod
    def create(cls, inputs: int, hidden: int, classes: int, activation: str, seed: int) -> Network:
        random = np.random.default_rng(seed)
        weights = [
            random.normal(0, np.sqrt(2 / inputs), (inputs, hidden)),
            np.zeros(hidden),
            random.normal(0, np.sqrt(1 / hidden), (hidden, classes)),
            np.zeros(classes),
        ]
        return cls(weights, [np.zeros_like(weight) for weight in weights], activation)

    def forward(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden activations (n, hidden) and class probabilities (n, classes)."""
        w1, b1, w2, b2 = self.weights
        before = x @ w1 + b1
        hidden = np.maximum(before, 0) if self.activation == "relu" else np.tanh(before)
        scores = hidden @ w2 + b2
        scores -= scores.max(axis=1, keepdims=True)
        probabilities = np.exp(scores)
        return hidden, probabilities / probabilities.sum(axis=1, keepdims=True)

    def step(self, x: np.ndarray, y: np.ndarray, rate: float, momentum: float, decay: float) -> float:
        """One step of SGD on a batch; returns the gradient's norm."""
        hidden, probabilities = self.forward(x)
        error = probabilities.copy()
        error[np.arange(len(y)), y] -= 1
        error /= len(y)
        slope = hidden > 0 if self.activation == "relu" else 1 - hidden**2
        back = (error @ self.weights[2].T) * slope
        gradients = [x.T @ back, back.sum(axis=0), hidden.T @ error, error.sum(axis=0)]
        for weight, speed, gradient in zip(self.weights, self.speeds, gradients, strict=True):
            speed *= momentum
            speed -= rate * (gradient + decay * weight)
            weight += speed
        return float(np.sqrt(sum((gradient**2).sum() for gradient in gradients)))

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float, float]:
        """Mean cross-entropy, accuracy, and the accuracy on the digit that is recognised worst."""
        _, probabilities = self.forward(x)
        loss = -np.log(np.maximum(probabilities[np.arange(len(y)), y], 1e-12)).mean()
        right = probabilities.argmax(axis=1) == y
        worst = min(right[y == digit].mean() for digit in range(10))
        return float(loss), float(right.mean()), float(worst)


def train(config: dict, epochs: int, pace: float) -> None:
    """Train one network and log it as one run."""
    digits = load_digits()
    x_train, x_val, y_train, y_val = train_test_split(
        digits.data / 16.0, digits.target, test_size=0.25, random_state=0, stratify=digits.target
    )
    random = np.random.default_rng(config["seed"])
    network = Network.create(64, config["hidden"], 10, config["activation"], config["seed"])
    with kiseki.init(project="digits", config=config, tags=[config["activation"]], reinit=True) as run:
        for epoch in range(epochs):
            began = time.perf_counter()
            rate = config["learning_rate"] * 0.5 * (1 + np.cos(np.pi * epoch / epochs))
            order = random.permutation(len(x_train))
            norms = []
            for start in range(0, len(order), config["batch_size"]):
                batch = order[start : start + config["batch_size"]]
                norms.append(
                    network.step(
                        x_train[batch], y_train[batch], rate, config["momentum"], config["weight_decay"]
                    )
                )
            train_loss, train_accuracy, _ = network.evaluate(x_train, y_train)
            val_loss, val_accuracy, val_worst = network.evaluate(x_val, y_val)
            run.log(
                {
                    "train/loss": train_loss,
                    "train/accuracy": train_accuracy,
                    "train/grad_norm": float(np.mean(norms)),
                    "val/loss": val_loss,
                    "val/accuracy": val_accuracy,
                    "val/worst_digit_accuracy": val_worst,
                    "lr": rate,
                }
            )
            # An epoch of these takes milliseconds; the pace leaves time to watch the lines grow.
            time.sleep(max(0.0, pace - (time.perf_counter() - began)))
        print(f"{run.name}: validation accuracy {val_accuracy:.3f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a dozen small networks on handwritten digits.")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--runs", type=int, default=12, help="how many of the 12 sets")
    parser.add_argument("--pace", type=float, default=0.25, help="seconds an epoch takes at least")
    options = parser.parse_args()
    for number, values in enumerate(itertools.islice(itertools.product(*GRID.values()), options.runs)):
        config = dict(zip(GRID, values, strict=True))
        config |= {"batch_size": 32, "momentum": 0.9, "weight_decay": 1e-4, "seed": number}
        train(config, options.epochs, options.pace)


if __name__ == "__main__":
    main()
