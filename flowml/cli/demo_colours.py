"""The demo's second job: two photographs in 32 colours, by k-means."""

import io
from pathlib import Path

import numpy as np
from markupsafe import Markup
from sklearn.datasets import load_sample_images

from flowml.cli.demo_story import Story, run
from flowml.cli.job import Job
from flowml.cluster import KMeans
from flowml.report import drawings
from flowml.report.page import (
    Section,
    duration,
    figure,
    note,
    palette,
    picture,
    side_by_side,
    text,
)

try:
    from PIL import Image
except ImportError:  # it comes with the plot extra, which the demo asks for
    Image = None  # type: ignore[assignment]

NAMES = ("china.jpg", "flower.jpg")
N_COLOURS = 32
LUMA = np.array([0.299, 0.587, 0.114])


def colours(out: Path) -> Story:
    """Cluster the pixels of both photographs and paint them with the clusters' centres."""
    photographs = dict(zip(NAMES, load_sample_images().images, strict=True))
    pixels = np.concatenate([image.reshape(-1, 3) for image in photographs.values()])
    compile_kernels(pixels)
    trained = run(job_of(pixels, out))
    labels = trained.model.predict(pixels / 255.0)
    ends = np.cumsum([image.size // 3 for image in photographs.values()])
    parts = np.split(labels, ends[:-1])
    centres = to_bytes(trained.model.cluster_centers_)
    error = float(np.sqrt(np.mean((centres[labels].astype(float) - pixels) ** 2)))
    before = len(np.unique(pixels, axis=0))
    section = Section(
        f"Two photographs in {N_COLOURS} colours",
        [
            text(
                f"{len(pixels):,} pixels of two of scikit-learn's sample photographs hold "
                f"{before:,} different colours. k-means finds the {N_COLOURS} that stand for them "
                "best, and each pixel is painted with its own."
            ),
            *(
                before_and_after(name, image, part.reshape(image.shape[:2]), centres)
                for (name, image), part in zip(photographs.items(), parts, strict=True)
            ),
            palette(shares(labels, centres)),
            note("The colours, each as wide as its share of the pixels."),
            figure(
                drawings.convergence(trained.model.history_),
                "Each pass over the pixels. The objective is the sum of squared distances between "
                "the pixels and their centres.",
            ),
            note(
                f"{trained.model.n_passes_} passes in {duration(trained.seconds)}; a pixel's "
                f"colour is off by {error:.1f} of 255 (root mean square over the channels)."
            ),
        ],
    )
    figures = {
        "Pixels": f"{len(pixels):,}",
        "Colours": f"{before:,} → {N_COLOURS}",
        "k-means": f"{trained.model.n_passes_} passes",
    }
    lines = {
        "KMeans: pixels, passes, time": f"{len(pixels):,}, {trained.model.n_passes_}, "
        f"{duration(trained.seconds)}",
        f"KMeans: error of {N_COLOURS} colours for {before:,}, of 255": f"{error:.1f}",
    }
    return Story([section], figures, lines)


def compile_kernels(pixels: np.ndarray) -> None:
    """Fit a few pixels: in a fresh install the fit that is timed would wait for the compiler."""
    KMeans(N_COLOURS, max_iter=2, random_state=0).fit(pixels[::1000] / 255.0)


def job_of(pixels: np.ndarray, out: Path) -> Job:
    """Write the pixels to a file, and return the job that clusters them."""
    path = out / "colours" / "pixels.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, pixels / 255.0)
    return Job(
        estimator="cluster.KMeans",
        data=str(path),
        out=str(out / "KMeans"),
        params={"n_clusters": N_COLOURS, "random_state": 0, "max_iter": 100},
    )


def before_and_after(
    name: str, image: np.ndarray, labels: np.ndarray, centres: np.ndarray
) -> Markup:
    """Show a photograph before and after."""
    painted = Image.fromarray(labels.astype(np.uint8), mode="P")
    painted.putpalette(centres.ravel().tolist())
    before, after = io.BytesIO(), io.BytesIO()
    Image.fromarray(image).save(before, "jpeg", quality=88)
    painted.save(after, "png", optimize=True)
    return side_by_side(
        [
            picture(before.getvalue(), "jpeg", f"{name}, as it is"),
            picture(after.getvalue(), "png", f"{name}, {N_COLOURS} colours"),
        ]
    )


def shares(labels: np.ndarray, centres: np.ndarray) -> list[tuple[str, float]]:
    """Return the colours from dark to light, with their share of the pixels."""
    counts = np.bincount(labels, minlength=len(centres)) / len(labels)
    order = np.argsort(centres @ LUMA)
    return [("#{:02x}{:02x}{:02x}".format(*centres[i]), float(counts[i])) for i in order]


def to_bytes(centres: np.ndarray) -> np.ndarray:
    """Return colours between 0 and 1 as bytes."""
    return np.clip(np.round(255 * centres), 0, 255).astype(np.uint8)
