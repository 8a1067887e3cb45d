"""tunebench: an evaluation-first benchmarking harness for fine-tuned language models."""

__version__ = "0.1.0"
