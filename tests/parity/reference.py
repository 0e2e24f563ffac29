"""What the models say of texts, read a second time without any code of the product: reference.py TASK ANSWERS.

TASK is a JSON file: `models` (folder), `encoder` (name), `graph` (file name), `heads` (folder of NAME.json and
NAME.safetensors), `texts` (a list of {"text", "states"}). ANSWERS gets one JSON object a line and text: `windows`,
`truncated`, `vector`, `heads` (by name: `sample`, one row, and `each`, a row a window) and, where asked for, `states`
(those of the first and of the last token of the first window).
"""

import json
import os
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnxruntime
from safetensors.numpy import load_file
from tokenizers import Tokenizer

SIZE, OVERLAP = 254, 32
# Windows of a text that is sampled, and of one that is read to its end.
SAMPLED, WHOLE = 64, 320
STEP = SIZE - OVERLAP
# Where the tail of an overlong text may begin: at a multiple of so many bytes, then at the next white space.
GRID, NEAR = 8 * 4096, 1024


def reach(windows):
    """Tokens that so many windows span."""
    return SIZE + (windows - 1) * STEP


def plain(path):
    tokenizer = Tokenizer.from_file(path)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def tokens(tokenizer, text, begin=0):
    """(id, begin, end) of each token of text[begin:], places in characters of `text`."""
    read = tokenizer.encode(text[begin:], add_special_tokens=False)
    return [(id, begin + start, begin + end) for id, (start, end) in zip(read.ids, read.offsets)]


def slices(listed):
    """The tokens of each window."""
    found = []
    for begin in range(0, len(listed), STEP):
        found.append(listed[begin : begin + SIZE])
        if begin + SIZE >= len(listed):
            break
    return found


def grid_places(text):
    """Characters at which a tail may begin, the latest first."""
    size = len(text.encode())
    for place in range((size - 1) // GRID * GRID, 0, -GRID):
        at = len(text.encode()[:place].decode(errors="ignore"))
        if len(text[:at].encode()) < place:
            at += 1
        near = 0
        found = at
        while found < len(text) and near < NEAR and not text[found].isspace():
            near += len(text[found].encode())
            found += 1
        yield found if found < len(text) and near < NEAR else at
    yield 0


def segment(tokenizer, text, most):
    """The windows, and whether the middle of the text is in none."""
    listed = tokens(tokenizer, text)
    if len(listed) <= reach(most):
        return slices(listed), False
    half = most // 2
    head = listed[: reach(half)]
    for place in grid_places(text):
        tail = tokens(tokenizer, text, place)
        if len(tail) >= reach(half):
            break
    rest = [token for token in tail if token[1] >= head[-1][2]]
    return slices(head) + slices(rest)[-half:], True


def sample(count):
    return list(range(count)) if count <= 3 else [0, count // 2, count - 1]


def unit(vector):
    length = np.sqrt((vector * vector).sum())
    return vector / length if length > 0 else vector


def mean(rows, weights):
    weights = np.array(weights, dtype=np.float64)
    return (np.stack(rows).astype(np.float64) * weights[:, None]).sum(axis=0) / weights.sum()


class Table:
    """Static embeddings: the mean of the tokens' rows."""

    def __init__(self, folder):
        with open(os.path.join(folder, "static.json")) as file:
            card = json.load(file)
        self.tokenizer = plain(os.path.join(folder, "tokenizer.json"))
        tensors = load_file(os.path.join(folder, "model.safetensors"))
        self.rows, self.scale = tensors["table"], tensors["scale"].astype(np.float64).reshape(-1)
        ignored = card.get("ignored_token")
        self.ignored = None if ignored is None else self.tokenizer.token_to_id(ignored)

    def embed(self, text):
        ids = self.tokenizer.encode(text, add_special_tokens=False).ids
        known = [id for id in ids if id != self.ignored and id < len(self.rows)]
        if not known:
            return np.zeros(self.rows.shape[1])
        return unit((self.rows[known].astype(np.float64) * self.scale[known][:, None]).sum(axis=0))


class Head:
    """A linear layer, or two with a rectifier between them."""

    def __init__(self, path):
        with open(path + ".json") as file:
            self.card = json.load(file)
        self.weights = {name: value.astype(np.float64) for name, value in load_file(path + ".safetensors").items()}

    def tables(self):
        return [block["name"].removeprefix("static:") for block in self.card["features"][1:]]

    def probabilities(self, pooled, statics):
        values = np.concatenate([pooled.astype(np.float64)] + [statics[name] for name in self.tables()])
        if self.card["activation"] == "relu":
            values = np.maximum(self.weights["hidden.weight"] @ values + self.weights["hidden.bias"], 0)
        logits = (self.weights["output.weight"] @ values + self.weights["output.bias"]) / self.card["temperature"]
        odds = np.exp(logits - logits.max())
        return odds / odds.sum()


class Reader:
    def __init__(self, task):
        folder = os.path.join(task["models"], task["encoder"])
        self.tokenizer = plain(os.path.join(folder, "tokenizer.json"))
        self.around = [self.tokenizer.token_to_id(name) for name in ("[CLS]", "[SEP]")]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        graph = os.path.join(folder, task["graph"])
        self.session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self.inputs = [value.name for value in self.session.get_inputs()]
        names = sorted({name.removesuffix(".json") for name in os.listdir(task["heads"]) if name.endswith(".json")})
        self.heads = {name: Head(os.path.join(task["heads"], name)) for name in names}
        wanted = {table for head in self.heads.values() for table in head.tables()}
        self.tables = {name: Table(os.path.join(task["models"], name)) for name in sorted(wanted)}

    def run(self, window):
        """The vector of a window and the states of its own tokens."""
        ids = np.array([[self.around[0], *(token[0] for token in window), self.around[1]]], dtype=np.int64)
        given = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        given = {name: given[name] for name in self.inputs}
        pooled, states = self.session.run(["sentence_embedding", "last_hidden_state"], given)
        return pooled[0], states[0][1:-1]

    def runs(self, windows, text):
        """What the encoder and the tables say of each window."""
        parts = [text[min(token[1] for token in window) : max(token[2] for token in window)] for window in windows]
        statics = [{name: table.embed(part) for name, table in self.tables.items()} for part in parts]
        return [self.run(window) for window in windows], statics

    def read(self, asked):
        text = unicodedata.normalize("NFC", asked["text"])
        windows, truncated = segment(self.tokenizer, text, SAMPLED)
        runs, statics = self.runs(windows, text)
        weights = [len(window) for window in windows]
        chosen = sample(len(windows))
        answer = {"windows": len(windows), "truncated": truncated, "vector": [0.0] * 384, "heads": {}}
        if windows:
            mixed = mean([runs[at][0] for at in chosen], [weights[at] for at in chosen])
            answer["vector"] = unit(mixed).tolist()
        whole = self.runs(segment(self.tokenizer, text, WHOLE)[0], text) if truncated else (runs, statics)
        for name, head in self.heads.items():
            rows = [head.probabilities(run[0], static) for run, static in zip(runs, statics)]
            mixed = [mean([rows[at] for at in chosen], [weights[at] for at in chosen]).tolist()] if rows else []
            each = [head.probabilities(run[0], static).tolist() for run, static in zip(*whole)]
            answer["heads"][name] = {"sample": mixed, "each": each}
        if asked["states"] and runs:
            states = runs[0][1]
            answer["states"] = [states[0].tolist(), states[-1].tolist()]
        return answer


def main():
    task, answers = sys.argv[1:]
    with open(task, encoding="utf-8") as file:
        task = json.load(file)
    reader = Reader(task)
    with ThreadPoolExecutor(os.cpu_count()) as pool, open(answers, "w", encoding="utf-8") as file:
        for answer in pool.map(reader.read, task["texts"]):
            file.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
