"""What a pass takes on more workers than are at hand: runtimes' schedules over a cost model."""

from flowml.codes.delays import Pareto, ShiftedExponential
from flowml.simulate.allreduce import Allreduce, TreeAllreduce
from flowml.simulate.coded import Coded
from flowml.simulate.cost_model import CostModel
from flowml.simulate.dataflow import Dataflow
from flowml.simulate.fit import Measured, fitted, predicted, relative_errors
from flowml.simulate.local_steps import LocalSteps
from flowml.simulate.parameter_server import ParameterServer
from flowml.simulate.schedule import Schedule
from flowml.simulate.simulation import simulate
from flowml.simulate.slowness import Independent, Markov, Slowness, Steady
from flowml.simulate.threads import Threads
from flowml.simulate.timeline import Span, Timeline
from flowml.simulate.workload import Workload

__all__ = [
    "Allreduce",
    "Coded",
    "CostModel",
    "Dataflow",
    "Independent",
    "LocalSteps",
    "Markov",
    "Measured",
    "ParameterServer",
    "Pareto",
    "Schedule",
    "ShiftedExponential",
    "Slowness",
    "Span",
    "Steady",
    "Threads",
    "Timeline",
    "TreeAllreduce",
    "Workload",
    "fitted",
    "predicted",
    "relative_errors",
    "simulate",
]
