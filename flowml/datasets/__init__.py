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


def adult() -> Path:
    """Return the folder of the Adult data: four files of at most 8,192 shuffled rows each.

    32,561 people of the 1994 census of the United States (Becker & Kohavi 1996); the target is
    ``income``, ``<=50K`` or ``>50K``. Eight columns are categorical, of which three have missing
    values.

    Examples
    --------
    >>> from flowml.datasets import adult
    >>> len(list(adult().glob("*.parquet")))
    4
    """
    return Path(str(files(__name__) / "adult"))
