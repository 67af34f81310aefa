"""What crossfuse-cam costs when it is run as its authors run it: eager float32 torch, window by window.

Prints wall and CPU seconds of one 640x480 pair, full size, random weights, beside the vectorized module's.

    python benchmarks/crossfuse_cam_paper_release.py [--runs 3]
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from common import make_parser, median_cost
from ivfuse.training.nets.crossfuse_cam_paper import CrossAttentionModule, CrossFuseCamPaper, FusionDecoder

HEIGHT, WIDTH = 480, 640
THREADS = 2
WINDOW, PATCH, SHIFT = 32, 2, 16  # in deep pixels
TOLERANCE = 1e-4  # of the range 0..1: float32 sums in another order, through a network some 20 layers deep


def measure(runs: int = 3) -> dict[str, dict[str, float]]:
    """Median cost of the release's way and of the vectorized module.

    Args:
        runs: timed repetitions of each, after one that is not timed.

    Returns:
        ``release`` and ``vectorized``: ``wall_s`` and ``cpu_s`` each; ``check``: ``largest_difference`` of
        the two outputs, of the range 0..1.

    Raises:
        RuntimeError: the outputs differ by more than rounding.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(0)
            net = CrossFuseCamPaper().eval()
            ir, vi = torch.rand(1, 1, HEIGHT, WIDTH), torch.rand(1, 1, HEIGHT, WIDTH)
            difference = (release_forward(net, ir, vi) - net(ir, vi)).abs().max().item()
            if not difference < TOLERANCE:
                raise RuntimeError(
                    f"the two ways differ by {difference:.2g}, expected less than {TOLERANCE:g}"
                )
            return {
                "release": _cost(lambda: release_forward(net, ir, vi), runs),
                "vectorized": _cost(lambda: net(ir, vi), runs),
                "check": {"largest_difference": difference},
            }
    finally:
        torch.set_num_threads(before)


def release_forward(net: CrossFuseCamPaper, ir: Tensor, vi: Tensor) -> Tensor:
    """The network with the work arranged as in the release; one pair, (1, 1, H, W) in [0, 1]."""
    shallow_ir, deep_ir = net.encoder_ir(ir)
    shallow_vi, deep_vi = net.encoder_vi(vi)
    cam = _cam_by_windows(net.cam, deep_ir, deep_vi)
    return _decode(net.decoder, cam, (shallow_ir, deep_ir), (shallow_vi, deep_vi))


def _cam_by_windows(cam: CrossAttentionModule, ir: Tensor, vi: Tensor) -> Tensor:
    """Cut windows in a loop, fuse them one after the other, put them together again."""
    h, w = ir.shape[-2:]
    pad = (0, -w % WINDOW, 0, -h % WINDOW)
    ir, vi = F.pad(ir, pad, mode="reflect"), F.pad(vi, pad, mode="reflect")
    rows = []
    for y in range(0, h, WINDOW):
        row = []
        for x in range(0, w, WINDOW):
            here = (..., slice(y, y + WINDOW), slice(x, x + WINDOW))
            row.append(_cam_on_window(cam, ir[here], vi[here]))
        rows.append(torch.cat(row, 3))
    return torch.cat(rows, 2)[..., :h, :w]


def _cam_on_window(cam: CrossAttentionModule, ir: Tensor, vi: Tensor) -> Tensor:
    """All blocks on one window; it is put together, shifted and cut again between them."""
    ir, vi = _paste(cam.first_ir(_cut(ir))), _paste(cam.first_vi(_cut(vi)))
    ir, vi = (x.roll((-SHIFT, -SHIFT), (2, 3)) for x in (ir, vi))
    ir, vi = _paste(cam.second_ir(_cut(ir))), _paste(cam.second_vi(_cut(vi)))
    ir, vi = (_cut(x.roll((SHIFT, SHIFT), (2, 3))) for x in (ir, vi))
    return _paste(cam.cross_vi(ir, vi) + cam.cross_ir(vi, ir))


def _cut(window: Tensor) -> Tensor:
    """(1, C, 32, 32) -> (1, 256, 4 * C), patch by patch."""
    patches = []
    for y in range(0, WINDOW, PATCH):
        for x in range(0, WINDOW, PATCH):
            patches.append(window[:, :, y : y + PATCH, x : x + PATCH].reshape(1, 1, -1))
    return torch.cat(patches, 1)


def _paste(tokens: Tensor) -> Tensor:
    """The inverse of :func:`_cut`."""
    n = WINDOW // PATCH
    rows = []
    for y in range(n):
        row = [tokens[:, y * n + x].reshape(1, -1, PATCH, PATCH) for x in range(n)]
        rows.append(torch.cat(row, 3))
    return torch.cat(rows, 2)


def _decode(
    decoder: FusionDecoder, cam: Tensor, ir: tuple[Tensor, Tensor], vi: tuple[Tensor, Tensor]
) -> Tensor:
    """The fusion decoder with the box filters as full convolutions, every channel to every channel."""
    e_ir, e_vi = _dense_box(ir[1]), _dense_box(vi[1])
    total = e_ir + e_vi + 1e-6
    x = cam + e_ir / total * ir[1] + e_vi / total * vi[1]
    x = _up(decoder.conv1(x))
    x = _up(decoder.conv2(x))
    x = decoder.conv4(_up(decoder.conv3(x)))
    g_ir, g_vi = ((f - _dense_box(f)).abs() for f in (ir[0], vi[0]))
    total = g_ir + g_vi + 1e-6
    out: Tensor = decoder.out(x + 0.5 * (g_ir / total) * ir[0] + g_vi / total * vi[0])
    return (out - out.min()) / (out.max() - out.min() + 1e-6)


def _dense_box(x: Tensor) -> Tensor:
    c = x.shape[1]
    return F.conv2d(x, x.new_full((c, c, 3, 3), 1 / 9), padding=1)


def _up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _cost(work: Callable[[], Tensor], runs: int) -> dict[str, float]:
    return dict(zip(("wall_s", "cpu_s"), median_cost(work, runs), strict=True))


def main() -> None:
    """Print the table."""
    parser = make_parser(__doc__)
    parser.add_argument("--runs", type=int, default=3, help="timed repetitions (default 3)")
    runs = max(1, parser.parse_args().runs)
    found = measure(runs)
    print(f"crossfuse-cam (paper), {WIDTH}x{HEIGHT}, float32, {THREADS} threads, median of {runs}")
    print(f"{'':<34}{'wall s':>8}{'CPU s':>8}")
    for key, label in (("release", "as released, window by window"), ("vectorized", "all windows at once")):
        print(f"{label:<34}{found[key]['wall_s']:>8.2f}{found[key]['cpu_s']:>8.2f}")
    print(f"largest difference of the outputs: {found['check']['largest_difference']:.1e}")


if __name__ == "__main__":
    main()
