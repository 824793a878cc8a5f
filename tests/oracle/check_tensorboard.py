"""TensorBoard's own reader and its projector plugin on a run that was stopped and went on: every number of log.jsonl, histograms
against the weights in the checkpoint, pictures against `relearn inspect`, the configuration, and features, from which the head
gives the accuracy and loss of the summary. RELEARN_BUILD says where the build is."""
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from google.protobuf import text_format
from PIL import Image
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins import base_plugin
from tensorboard.plugins.projector import projector_plugin
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig
from werkzeug.test import Client

RELEARN = os.path.join(os.environ["RELEARN_BUILD"], "relearn")
CONFIG = """method: ogm_ge
epochs: 3
batch: 8
augment: false
encoder: {width: 16, blocks: [1]}
"""
RELEARN_CONFIG = CONFIG.replace("ogm_ge", "relearn") + "relearn: {period: 1, times: 1}\n"
STEPS = 8  # an epoch: 64 samples
FLOAT = 2e-7  # of a double that went through a float and nine digits
failures = 0


def expect(what, good, figure=""):
    global failures
    failures += not good
    print("ok  " if good else "FAIL", what, figure)


def relearn(*arguments, codes=(0,)):
    done = subprocess.run([RELEARN, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode not in codes:
        raise SystemExit(f"relearn {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


def opened(run):
    reader = EventAccumulator(str(run), size_guidance={"scalars": 0, "histograms": 0, "images": 0, "tensors": 0})
    return reader.Reload()


def near(a, b):
    return a == b or abs(a - b) <= FLOAT * abs(b)


def log_of(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def leaves(value, prefix):
    """The same rule, written anew: names of modalities stand where the key "modalities" stood."""
    if isinstance(value, bool) or isinstance(value, str) or value is None:
        return
    if isinstance(value, (int, float)):
        yield prefix, value
    elif isinstance(value, list):
        for item in value:
            yield from leaves({k: v for k, v in item.items() if k != "name"}, f"{prefix}/{item['name']}")
    else:
        for key, item in value.items():
            yield from leaves(item, prefix if key == "modalities" else f"{prefix}/{key}")


def expected_scalars(run):
    """{(tag, step): value} of all lines of the log."""
    found = {}
    for line in log_of(run):
        kind = line.get("event")
        if kind == "start":
            continue
        step = (line["epoch"] - 1) * STEPS + line["step"] if kind == "step" else line["epoch"] * STEPS
        for key, value in line.items():
            if kind == "step":
                pairs = leaves(value, f"step/{key}") if key not in ("epoch", "step") else ()
            elif kind == "method":
                pairs = leaves(value, "diagnosis" if key == "modalities" else f"diagnosis/{key}") if key != "epoch" else ()
            else:
                pairs = leaves(value, key if isinstance(value, dict) else f"train/{key}")
            found.update({(tag, step): number for tag, number in pairs})
    return found


def check_scalars(run, reader):
    wanted = expected_scalars(run)
    got = {(tag, event.step): event.value for tag in reader.Tags()["scalars"] if not tag.startswith("final/")
           for event in reader.Scalars(tag)}
    expect(f"{run.name}: a scalar for every number of the log", set(got) == set(wanted), sorted(set(got) ^ set(wanted))[:4])
    wrong = [key for key in wanted if key in got and not near(got[key], wanted[key])]
    expect(f"{run.name}: their values", not wrong and len(wanted) > 100, wrong[:4] or len(wanted))
    for tag in reader.Tags()["scalars"]:
        steps = [event.step for event in reader.Scalars(tag)]
        if steps != sorted(set(steps)):
            expect(f"{run.name}: {tag} rises step by step", False, steps)
    summary = json.loads((run / "summary.json").read_text())
    for split in ("validation", "test"):
        value = reader.Scalars(f"final/{split}/visual/accuracy")[0].value
        expect(f"{run.name}: final {split}", near(value, summary[split]["modalities"]["visual"]["accuracy"]), value)


def check_histograms(run, reader):
    """Of the last epoch, after which nothing changed: from the checkpoint."""
    weights = load_file(run / "checkpoint" / "last.safetensors")
    layers = {}
    for name in weights:
        if "initial:" + name not in weights:
            continue
        arena, _, rest = name.partition(".")
        stem = rest.rpartition(".")[0].replace("/", ".")
        layers.setdefault(f"change/{arena}" + (f"/{stem}" if stem else ""), []).append(
            np.abs(weights[name].astype(np.float64) - weights["initial:" + name]).ravel())
    tags = [tag for tag in reader.Tags()["histograms"] if not tag.startswith("change_relearned")]
    expect(f"{run.name}: a histogram per layer", set(tags) == set(layers), set(tags) ^ set(layers))
    wrong = []
    for tag, parts in layers.items():
        values, histogram = np.concatenate(parts), reader.Histograms(tag)[-1].histogram_value
        limits = np.array(histogram.bucket_limit)
        counts = np.searchsorted(np.sort(values), limits * (1 + 1e-12), side="right")
        good = (near(histogram.min, values.min()) and near(histogram.max, values.max()) and histogram.num == values.size
                and abs(histogram.sum - values.sum()) <= 1e-9 * values.sum()
                and np.array_equal(np.cumsum(histogram.bucket), counts))
        if not good:
            wrong.append((tag, histogram.max, values.max(), list(histogram.bucket), np.diff(counts, prepend=0)))
    expect(f"{run.name}: histograms are those of the checkpoint", not wrong and len(layers) > 10, wrong[:2])


def check_relearned(reader, log):
    """alpha pulls every weight of an encoder back: the largest distance shrinks by 1 - alpha."""
    diagnosis = next(line for line in log if line.get("event") == "method")
    for modality in diagnosis["modalities"]:
        tag = f"{modality['name']}/conv1"
        before = next(e for e in reader.Histograms(f"change/{tag}") if e.step == diagnosis["epoch"] * STEPS)
        after = reader.Histograms(f"change_relearned/{tag}")
        ratio = after[0].histogram_value.max / before.histogram_value.max
        expect(f"re-learning shows in {tag}", len(after) == 1 and abs(ratio - (1 - modality["applied"])) < 1e-4, ratio)


def check_pictures(run, reader, store, work):
    tags = reader.Tags()["images"]
    expect(f"{run.name}: three samples, a spectrogram and two frames each", len(tags) == 9, tags)
    for tag in tags:
        event = reader.Images(tag)[0]
        picture = Image.open(io.BytesIO(event.encoded_image_string))
        levels = np.asarray(picture)
        expect(f"{tag}: decodes", picture.size == (event.width, event.height) and levels.std() > 1, picture.size)
        _, modality, sample, *frame = tag.split("/")
        if modality == "visual":  # inspect knows the rate of the source sound, and writes other numbers to a spectrogram's axis
            relearn("inspect", store, "--sample", sample, "--png", work / "png")
            theirs = np.asarray(Image.open(work / "png" / f"{sample}.visual.{frame[0]}.png"))
            expect(f"{tag}: is what inspect shows", np.array_equal(theirs, levels))


def check_config(run, reader):
    text = reader.Tensors("config")[0].tensor_proto.string_val[0].decode()
    plugin = reader.SummaryMetadata("config").plugin_data.plugin_name
    lines = [line.removeprefix("    ") for line in text.splitlines()]
    expect(f"{run.name}: the configuration as text", plugin == "text" and lines == (run / "config.yaml").read_text().splitlines())


def plugin_get(run, path):
    """What the projector in the browser would be sent."""

    class Multiplexer:
        @staticmethod
        def RunPaths():
            return {".": str(run)}

        @staticmethod
        def PluginAssets(_):
            return {".": []}

    context = base_plugin.TBContext(logdir=str(run), multiplexer=Multiplexer(), data_provider=None)
    plugin = projector_plugin.ProjectorPlugin(context)
    plugin.data_provider = None
    plugin._run_paths = {".": str(run)}
    handler = plugin.get_plugin_apps()[path.split("?")[0]]
    answer = Client(lambda environ, start: handler(environ, start)).get(path)
    return answer.status_code, answer.get_data()


def check_projector(run):
    config = text_format.Parse((run / "projector_config.pbtxt").read_text(), ProjectorConfig())
    names = [embedding.tensor_name for embedding in config.embeddings]
    expect(f"{run.name}: an embedding per modality", names == ["audio", "visual"], names)
    rows = [line.split("\t") for line in (run / "projector" / "metadata.tsv").read_text().splitlines()]
    expect(f"{run.name}: ids and classes", rows[0] == ["id", "class"] and len(rows) == 33, rows[:2])
    features = []
    for embedding in config.embeddings:
        status, sent = plugin_get(run, f"/tensor?run=.&name={embedding.tensor_name}")
        mine = projector_plugin._read_tensor_binary_file(run / embedding.tensor_path, embedding.tensor_shape)
        expect(f"{embedding.tensor_name}: the plugin sends it", status == 200 and sent == mine.tobytes(), status)
        status, table = plugin_get(run, f"/metadata?run=.&name={embedding.tensor_name}")
        expect(f"{embedding.tensor_name}: and its table", status == 200 and table.count(b"\n") >= 32, status)
        features.append(mine)
    weights = load_file(run / "checkpoint" / "best.safetensors")
    logits = np.concatenate(features, axis=1).astype(np.float64) @ weights["head.weight"].T + weights["head.bias"]
    classes = [row["name"] for row in json.loads((run / "summary.json").read_text())["validation"]["classes"]]
    labels = np.array([classes.index(row[1]) for row in rows[1:]])
    measured = json.loads((run / "summary.json").read_text())["validation"]
    accuracy = (logits.argmax(axis=1) == labels).mean()
    loss = (np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(len(labels)), labels]).mean()
    expect(f"{run.name}: features of the best model", accuracy == measured["accuracy"] and abs(loss - measured["loss"]) < 1e-5,
           (accuracy, measured["accuracy"], loss, measured["loss"]))


def main(work):
    relearn("synth", "--out", work / "media", "--train", 64, "--val", 32, "--test", 16, "--classes", 4, "--picture-size", 32,
            "--frames", 2, "--seed", 5)
    store = work / "store"
    relearn("prepare", "manifest", "--from", work / "media", "--to", store)
    for name, text in (("ogm", CONFIG), ("relearn", RELEARN_CONFIG)):
        (work / "config.yaml").write_text(text)
        run = work / name
        command = ["train", work / "config.yaml", "--data", store, "--out", run, "--quiet"]
        relearn(*command, "--stop-after", 11, codes=(130,))
        with open(run / "events.out.tfevents.relearn", "ab") as file:  # as a killed run leaves it
            file.write(b"\x18\0\0\0\0\0\0\0torn")
        relearn(*command, "--resume")
        reader = opened(run)
        check_scalars(run, reader)
        check_histograms(run, reader)
        check_config(run, reader)
        check_pictures(run, reader, store, work)
        check_projector(run)
        if name == "relearn":
            check_relearned(reader, log_of(run))


with tempfile.TemporaryDirectory() as folder:
    main(pathlib.Path(folder))
sys.exit(failures > 0)
