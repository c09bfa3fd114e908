"""Round trips of real models: torchvision's and timm's, with random weights.

    python scripts/corpus.py torchvision
    python scripts/corpus.py segmentation video detection
    python scripts/corpus.py timm
    python scripts/corpus.py resnet18 timm/resnet18 vit_tiny_patch16_224
    python scripts/corpus.py --fresh 3 resnet18 segmentation

Models that detect objects need a torchvision with its operators, which is one for the same build of
torch; without they are left out. In training mode they are given targets, and give losses.

Prints one line per model: whether TorchScript accepts it, and what became of the conversion; then
the sums, and how long conversion took against one ``torch.jit.script``. Fails if any is wrong, or
gives another graph when what was generated is converted.

With ``--fresh`` it only times: each conversion and each ``torch.jit.script`` is the first in a
process of its own, in turn and as often as the number says, by the time of the processor.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn

from nas_engine_graph import UnsupportedModuleError, convert
from nas_engine_graph.testing import assert_same_behaviour

TORCHVISION = [
    "alexnet",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_s",
    "googlenet",
    "inception_v3",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v2",
    "mobilenet_v3_large",
    "mobilenet_v3_small",
    "regnet_x_400mf",
    "regnet_y_400mf",
    "resnet18",
    "resnet50",
    "resnext50_32x4d",
    "shufflenet_v2_x0_5",
    "squeezenet1_0",
    "squeezenet1_1",
    "swin_t",
    "swin_v2_t",
    "vgg11",
    "vgg11_bn",
    "vit_b_16",
    "wide_resnet50_2",
]
TIMM = [
    "beit_base_patch16_224",
    "cait_xxs24_224",
    "coat_tiny",
    "convmixer_768_32",
    "convnext_atto",
    "crossvit_tiny_240",
    "cspresnet50",
    "deit_tiny_patch16_224",
    "densenet121",
    "dla34",
    "dpn48b",
    "edgenext_xx_small",
    "efficientformer_l1",
    "efficientnet_b0",
    "fastvit_t8",
    "focalnet_tiny_srf",
    "gcvit_xxtiny",
    "ghostnet_100",
    "gmixer_24_224",
    "hardcorenas_a",
    "hrnet_w18_small",
    "inception_v4",
    "levit_128s",
    "maxvit_rmlp_pico_rw_256",
    "mixer_s32_224",
    "mobilenetv3_small_100",
    "mobilevit_xxs",
    "mvitv2_tiny",
    "nf_regnet_b0",
    "pit_ti_224",
    "poolformer_s12",
    "pvt_v2_b0",
    "regnety_002",
    "repvgg_a0",
    "resnet18",
    "resnetv2_50",
    "rexnet_100",
    "selecsls42",
    "sequencer2d_s",
    "skresnet18",
    "swin_tiny_patch4_window7_224",
    "tnt_s_patch16_224",
    "twins_svt_small",
    "vgg11",
    "visformer_tiny",
    "vit_tiny_patch16_224",
    "volo_d1_224",
    "xcit_nano_12_p16_224",
    "xception41",
]
SEGMENTATION = [
    "deeplabv3_mobilenet_v3_large",
    "deeplabv3_resnet50",
    "fcn_resnet50",
    "lraspp_mobilenet_v3_large",
]
VIDEO = ["mc3_18", "mvit_v1_b", "mvit_v2_s", "r2plus1d_18", "r3d_18", "s3d", "swin3d_t"]
DETECTION = [
    "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_resnet50_fpn",
    "fcos_resnet50_fpn",
    "keypointrcnn_resnet50_fpn",
    "maskrcnn_resnet50_fpn",
    "retinanet_resnet50_fpn",
    "ssd300_vgg16",
    "ssdlite320_mobilenet_v3_large",
]
SOURCES = {
    "torchvision": TORCHVISION,
    "segmentation": SEGMENTATION,
    "video": VIDEO,
    "detection": DETECTION,
    "timm": TIMM,
}
CLIPS = {"mvit_v1_b": (16, 224, 224), "mvit_v2_s": (16, 224, 224), "s3d": (16, 64, 64)}
SIZES = {"inception_v3": 299, "inception_v4": 299, "crossvit_tiny_240": 240,
         "maxvit_rmlp_pico_rw_256": 256,
         "swin_v2_t": 256, "sequencer2d_s": 224}  # fmt: skip


def declare_detection() -> bool:
    """Whether torchvision has its operators; else they are declared: enough to import it."""
    try:
        import torchvision  # noqa: F401
    except RuntimeError:  # Such as that of PyPI beside a CPU torch.
        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]
    else:
        return True
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    _KEPT.append(library)
    return False


_KEPT: list[Any] = []


def build(name: str, source: str) -> nn.Module:
    """The model, freshly initialised."""
    torch.manual_seed(0)
    if source == "torchvision":
        import torchvision

        options = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
        model: nn.Module = getattr(torchvision.models, name)(**options)
    elif source == "segmentation":
        from torchvision.models import segmentation

        model = getattr(segmentation, name)(weights_backbone=None, num_classes=5)
    elif source == "video":
        from torchvision.models import video

        model = getattr(video, name)(num_classes=5)
    elif source == "detection":
        from torchvision.models import detection

        options = {} if name.startswith("ssd") else {"min_size": 64, "max_size": 96}
        options |= {"num_keypoints": 5} if name.startswith("keypoint") else {}
        options |= {"score_thresh": 0.0} if name.startswith(("fcos", "retina")) else {}
        make = getattr(detection, name)
        model = make(weights=None, weights_backbone=None, num_classes=4, **options)
    else:
        import timm

        model = timm.create_model(name)
    return model


def example(name: str, source: str) -> tuple[Any, ...]:
    """What the model takes."""
    if source == "detection":
        images = [torch.rand(3, 60, 80), torch.rand(3, 72, 64)]
        return images, [target(name, image) for image in images]
    if source == "video":
        return (torch.randn(1, 3, *CLIPS.get(name, (8, 32, 32))),)
    size = 64 if source == "segmentation" else SIZES.get(name, 224)
    return (torch.randn(2, 3, size, size),)


def target(name: str, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """What is to be found in an image: two objects."""
    found = {
        "boxes": torch.tensor([[4.0, 6.0, 40.0, 44.0], [10.0, 20.0, 30.0, 50.0]]),
        "labels": torch.tensor([1, 2]),
    }
    if name.startswith("mask"):
        found["masks"] = (torch.rand(2, *image.shape[1:]) > 0.5).to(torch.uint8)
    if name.startswith("keypoint"):
        found["keypoints"] = torch.cat([torch.rand(2, 5, 2) * 20 + 10, torch.ones(2, 5, 1)], -1)
    return found


def script_seconds(model: nn.Module) -> float | None:
    """How long TorchScript alone takes, or None if it refuses."""
    start = time.perf_counter()
    try:
        torch.jit.script(model)
    except Exception:
        # Whatever TorchScript raises: it means that it does not accept the model.
        return None
    return time.perf_counter() - start


def try_model(name: str, source: str) -> tuple[str, float | None, str]:
    """A word for the outcome, how long converting took against scripting, and details."""
    model = build(name, source)
    start = time.perf_counter()
    try:
        graph = convert(model)
    except UnsupportedModuleError as error:
        return "refused", None, str(error).partition("; decorate")[0]
    ours = time.perf_counter() - start
    script = script_seconds(model)
    try:
        twin = graph.instantiate()
        if convert(twin) != graph:
            return "UNSTABLE", None, "the generated code gives another graph"
        assert_same_behaviour(model, twin, *example(name, source))
    except AssertionError as error:
        return "WRONG", None, str(error)[:200]
    except Exception as error:
        # Any other failure of the generated code belongs into the table too.
        return "BROKEN", None, f"{type(error).__name__}: {str(error)[:200]}"
    if script is None:
        return "right", None, f"script refuses; converted in {ours:.2f} s"
    return "right", ours / script, f"converted in {ours:.2f} s, {ours / script:.2f} of script"


WAYS: dict[str, Any] = {"convert": convert, "script": torch.jit.script}


def seconds(way: str, name: str, source: str) -> float:
    """How long the processor is busy with the first conversion, or script, of this process."""
    model = build(name, source)
    start = time.process_time()
    WAYS[way](model)
    return time.process_time() - start


def in_processes_of_their_own(name: str, source: str, rounds: int) -> float | None:
    """The ratio of a conversion to a script, and prints it; None if one of them refuses."""
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, times in found.items():
            command = [sys.executable, __file__, "--seconds", way, name, source]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{source:12} {name:32} {way} refuses", flush=True)
                return None
            times.append(float(done.stdout.split()[-1]))
    ours, script = (statistics.median(found[way]) for way in WAYS)
    print(f"{source:12} {name:32} {ours:.2f} s, {ours / script:.2f} of script", flush=True)
    return ours / script


def chosen(arguments: list[str]) -> Iterator[tuple[str, str]]:
    """The names that were asked for, and where each model comes from."""
    for argument in arguments or SOURCES:
        if argument in SOURCES:
            yield from ((name, argument) for name in SOURCES[argument])
        else:
            source, _, name = argument.rpartition("/")
            found = (source for source, names in SOURCES.items() if name in names)
            yield name, source or next(found, "timm")


def main() -> None:
    """Tries every model and prints the table, or times each."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    has_operators = declare_detection()
    match sys.argv[1:]:
        case ["--seconds", way, name, source]:
            print(seconds(way, name, source))
        case ["--fresh", rounds, *names]:
            timed = [in_processes_of_their_own(*one, int(rounds)) for one in chosen(names)]
            summarize([ratio for ratio in timed if ratio is not None])
        case names:
            try_models(names, has_operators)


def try_models(names: list[str], has_operators: bool) -> None:
    """Tries models and prints the table."""
    counts: Counter[tuple[str, str]] = Counter()
    ratios: list[float] = []
    for name, source in chosen(names):
        if source == "detection" and not has_operators:
            print(f"{source:12} {name:32} left out: torchvision has no operators here", flush=True)
            continue
        word, ratio, details = try_model(name, source)
        counts[source, word] += 1
        ratios += [] if ratio is None else [ratio]
        print(f"{source:12} {name:32} {word:8} {details}", flush=True)
    for (source, word), count in sorted(counts.items()):
        print(f"{source}: {count} {word}")
    summarize(ratios)
    if any(word.isupper() for _, word in counts):
        raise SystemExit(1)


def summarize(ratios: list[float]) -> None:
    """Prints how long conversion takes against scripting."""
    if ratios:
        middle = statistics.median(ratios)
        print(f"convert / script: median {middle:.2f}, largest {max(ratios):.2f}")


if __name__ == "__main__":
    main()
