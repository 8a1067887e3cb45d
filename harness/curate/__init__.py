"""What is wrong with a data set, and what a cleaned copy leaves out: a task and its data in, findings and removals out."""

from harness.curate.examine import DataReport, cleaning, examine

__all__ = ["DataReport", "cleaning", "examine"]
