"""Real data that come with flowml, as Parquet: the README beside this says where from."""

from importlib.resources import files
from pathlib import Path


def california_housing() -> Path:
    """Return the folder of the California housing data: five files of 4,128 shuffled rows each.

    20,640 block groups of the 1990 census (Pace & Barry 1997); the target is
    ``median_house_value``. ``total_bedrooms`` has 207 missing values and ``ocean_proximity`` is
    text, so name the features to be read.

    Examples
    --------
    >>> from flowml.datasets import california_housing
    >>> sorted(path.name for path in california_housing().glob("*.parquet"))[0]
    'part-0.parquet'
    """
    return Path(str(files(__name__) / "california_housing"))
