"""Checkpoint + prompts -> completions, in one engine process that outlives all runs of a sweep. Only here: vllm."""
