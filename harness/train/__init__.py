"""A run specification and its tokens -> a checkpoint. The only package that imports peft.

`python -m harness.train JOB.json` trains every run of a job that shares one base model (see `job`); `memory` estimates
what a run needs without importing torch; `loop.train_steps` is the part a distributed engine reuses.
"""
