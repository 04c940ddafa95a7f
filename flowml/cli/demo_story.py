"""What a part of the demo has to tell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flowml.cli.fitting import Watch, save, train
from flowml.cli.job import Job
from flowml.report.page import Section
from flowml.report.trained import Trained


@dataclass(frozen=True)
class Story:
    """Sections of the report, and what is printed.

    Parameters
    ----------
    sections : sequence of Section
    figures : mapping of str to str
        The few numbers that matter most.
    lines : mapping of str to str
        Printed at the end.
    """

    sections: Sequence[Section]
    figures: Mapping[str, str]
    lines: Mapping[str, str]


def run(job: Job) -> Trained:
    """Do what ``flowml fit --overwrite --quiet`` does."""
    watch = Watch(job)
    trained = train(job, watch)
    save(job, trained)
    watch.forget()
    return trained
