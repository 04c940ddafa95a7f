"""The page's section on memory: what `benchmarks.memory` measured."""

from typing import Any

from benchmarks.markdown import table

SHARE = 0.6
"""Of the speed at which pyarrow alone reads the same files: to be reached."""

TEXT = """\
## More data than memory

{gigabytes:.1f} GB of Parquet ({rows:,} rows) streamed through two workers of 1 GB each, by
`python -m benchmarks.memory`. pyarrow alone reads the files in {pyarrow:.1f} s with two processes;
to be reached are {share:.0%} of its speed, with no worker killed or paused and nothing spilled.
"""
HEADER = (
    "job",
    "passes",
    "seconds",
    "MB/s",
    "peak RSS, MB",
    "killed",
    "paused",
    "spilled, MB",
    "of pyarrow's speed",
    "met",
)


def memory_section(results: dict[str, Any] | None, cause: str = "") -> list[str]:
    """Render the results of ``python -m benchmarks.memory``; nothing without any."""
    if not results:
        return []
    text = TEXT.format(
        gigabytes=results["bytes"] / 1e9,
        rows=results["rows"],
        pyarrow=results["pyarrow_seconds"],
        share=SHARE,
    )
    missed = [cause + "\n"] if cause and not all(map(in_bounds, results["jobs"])) else []
    return [text, table(HEADER, map(_row, results["jobs"])), *missed]


def in_bounds(job: dict[str, Any]) -> bool:
    """Tell whether a job was fast enough and left the workers in peace."""
    undisturbed = not (job["killed"] or job["paused"] or job["spilled"])
    return bool(undisturbed and job["share_of_pyarrow"] >= SHARE)


def _row(job: dict[str, Any]) -> list[str]:
    return [
        job["job"],
        str(job["passes"]),
        f"{job['seconds']:.1f}",
        f"{job['bytes_per_second'] / 1e6:.0f}",
        f"{job['peak_rss'] / 1e6:.0f}",
        "yes" if job["killed"] else "no",
        str(job["paused"]),
        f"{job['spilled'] / 1e6:.0f}",
        f"{job['share_of_pyarrow']:.0%}",
        "yes" if in_bounds(job) else "**no**",
    ]
