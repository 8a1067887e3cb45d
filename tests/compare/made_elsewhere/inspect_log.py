"""A small Inspect log without a network, by a solver that answers from a table: `python inspect_log.py FOLDER`."""

import sys

from inspect_ai import Task, eval
from inspect_ai.dataset import Sample
from inspect_ai.model import ModelOutput
from inspect_ai.scorer import includes, match
from inspect_ai.solver import Generate, Solver, TaskState, solver

SAMPLES = [Sample(id=f"q{i}", input=f"What is {i}+1?", target=str(i + 1)) for i in range(5)]


@solver
def told(wrong: list[int]) -> Solver:
    async def solve(state: TaskState, generate: Generate) -> TaskState:
        number = int(str(state.sample_id)[1:])
        missed = number in wrong or (number == 4 and state.epoch == 2)
        state.output = ModelOutput.from_content("mockllm/model", "no idea" if missed else f"It is {number + 1}")
        return state

    return solve


made = Task(dataset=SAMPLES, solver=told([0]), scorer=[match(), includes()], epochs=2, name="sums")
print(eval(made, model="mockllm/model", log_dir=sys.argv[1], display="none")[0].status)
