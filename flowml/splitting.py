"""What a fit that validates on splits of its rows asks of them first."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from flowml.drive.procedure import Procedure, Step
from flowml.kernels.gram import GRAM, Gram
from flowml.kernels.gram import merge as merge_grams
from flowml.kernels.labels import LABEL_WEIGHTS, LabelWeights
from flowml.kernels.splits import TEST, TRAIN, Parts, Splits, Subset
from flowml.kernels.strata import STRATUM_COUNTS, counted, rows_in_order
from flowml.solvers.masked import Masked
from flowml.solvers.one_pass import OnePass
from flowml.solvers.together import Together
from flowml.splitters import Splitter

STAGE = "splits"


class SplitGrams(NamedTuple):
    """Gram matrices of all rows, and of each split's training and test rows.

    Attributes
    ----------
    whole : Gram
    train, test : tuple of Gram
    """

    whole: Gram
    train: tuple[Gram, ...]
    test: tuple[Gram, ...]


def draw_splits(splitter: Splitter, n_rows: int | None) -> Procedure[Splits]:
    """Say which row is where; takes a pass where rows must be counted first, at all or by class."""
    if n_rows is not None and not splitter.stratified:
        return splitter.splits(rows_in_order(n_rows))
    counts = (yield Step(STAGE, OnePass(STRATUM_COUNTS, splitter.stratified))).summary
    return splitter.splits(counted(counts, splitter.stratified))


def count_classes(splits: Splits, stratified: bool) -> Procedure[None]:
    """Refuse a split that leaves a class out of its training rows; takes a pass where one might.

    Parts of strata that are classes hold rows of each that has two or more.
    """
    if stratified and isinstance(splits, Parts) and splits.strata.sizes.min() > 1:
        return
    numbers = range(splits.n_splits)
    solvers = [Masked(OnePass(LABEL_WEIGHTS), Subset(splits, n, TRAIN)) for n in numbers]
    members = (yield Step("classes", Together(solvers))).members
    check_classes([member.summary for member in members])


def check_classes(labels: Sequence[LabelWeights]) -> None:
    """Refuse a split that leaves a class out of its training rows.

    Raises
    ------
    ValueError
        Naming the split and the class.
    """
    found = [set(one.labels.tolist()) for one in labels]
    every = set().union(*found)
    for number, classes in enumerate(found):
        if missing := sorted(every - classes):
            raise ValueError(
                f"split {number} of {len(found)} has no row of class {missing[0]!r} to train on: "
                "use StratifiedKFold, or shuffle=True, or leave a class of a single row out"
            )


def sum_splits(splits: Splits) -> Procedure[SplitGrams]:
    """Sum up the rows of all splits in one pass.

    Where the tests cut the rows into parts, each row is summed once: the training rows are the
    other parts together. Subtracting the test from the whole instead would lose digits.

    Raises
    ------
    ValueError
        If a side has no row of a weight above zero, naming the split.
    """
    numbers = range(splits.n_splits)
    solvers: list[Any] = [Masked(OnePass(GRAM), Subset(splits, n, TEST)) for n in numbers]
    if not splits.is_partition:
        solvers += [Masked(OnePass(GRAM), Subset(splits, n, TRAIN)) for n in numbers]
        solvers.append(OnePass(GRAM))
    members = (yield Step("grams", Together(solvers))).members
    grams: list[Gram] = [member.summary for member in members]
    test = tuple(grams[: splits.n_splits])
    if splits.is_partition:
        found = SplitGrams(joined(test), tuple(joined(_but(test, n)) for n in numbers), test)
    else:
        found = SplitGrams(grams[-1], tuple(grams[splits.n_splits : -1]), test)
    _check(found)
    return found


def sum_all() -> Procedure[Gram]:
    """Sum all rows up in one pass.

    Raises
    ------
    ValueError
        If there is no row of a weight above zero.
    """
    gram: Gram = (yield Step("gram", OnePass(GRAM))).summary
    if gram.weight == 0:
        raise ValueError("there is nothing to fit: no row, or none of a weight above zero")
    return gram


def joined(grams: tuple[Gram, ...]) -> Gram:
    """Return the sums over all the rows of several."""
    whole = grams[0]._replace(scatter=grams[0].scatter.copy())
    for gram in grams[1:]:
        whole = merge_grams(whole, gram._replace(scatter=gram.scatter.copy()))
    return whole


def _but(grams: tuple[Gram, ...], number: int) -> tuple[Gram, ...]:
    return grams[:number] + grams[number + 1 :]


def _check(grams: SplitGrams) -> None:
    if grams.whole.weight == 0:
        raise ValueError("there is nothing to fit: no row, or none of a weight above zero")
    for name, side in (("train", grams.train), ("test", grams.test)):
        for number, gram in enumerate(side):
            if gram.weight == 0:
                raise ValueError(
                    f"split {number} of {len(side)} has no row of a weight above zero to {name} on"
                )
