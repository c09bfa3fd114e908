"""Load the best model of the search with its weights, and test it on images no one has looked at.

Run after the search: ``python examples/digits/evaluate.py nas-experiments/digits``.
"""

import sys
from pathlib import Path

import torch
from nas_search import Experiment

# As a script it finds space.py beside it; so does a test that loads it from elsewhere.
sys.path.insert(0, str(Path(__file__).parent))
from space import digits


def accuracy_of(model: torch.nn.Module) -> float:
    """Give the share of the test images that a trained model names correctly."""
    images, classes = digits()["test"]
    model.eval()
    with torch.no_grad():
        named = model(images).argmax(1)
    return (named == classes).float().mean().item()


def main(folder: str) -> None:
    """Print the best architecture, its accuracies and its size."""
    experiment = Experiment.open(folder)
    trial = experiment.top_trials(1)[0]
    model = experiment.export_top_models(top_k=1, formatter="instance")[0]
    accuracy = accuracy_of(model)
    print(f"trial {trial.number} of {len(experiment.trials)}: {trial.architecture.to_json()}")
    print(f"validation accuracy {trial.metrics['accuracy']:.4f}")
    print(f"test accuracy       {accuracy:.4f} with the stored weights")
    print(f"                    {trial.metrics['test_accuracy']:.4f} when it was trained")
    print(f"parameters          {trial.metrics['parameters']:,.0f}")


if __name__ == "__main__":
    main(*sys.argv[1:2] or ["nas-experiments/digits"])
