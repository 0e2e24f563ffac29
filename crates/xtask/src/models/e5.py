"""multilingual-e5-small out of a packed file of 4-bit weights ("E5S1").

The file, little endian: the sizes, a Unigram vocabulary, a map of single characters to their normal form, a directory
of tensors, the tensors. A 4-bit row is a sequence of blocks of 32 numbers: an f16 scale, then 16 bytes whose low
halves are the first 16 numbers and whose high halves the last 16, each eight too large.
"""

import base64
import json
import struct

import numpy as np

BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])
SIZES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "vocab_size", "positions", "types")
# The file's names of a layer's parts, and BERT's.
PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def array(self, dtype, count):
        values = np.frombuffer(self.data, dtype, count, self.at)
        self.at += values.nbytes
        return values


def unpack(data):
    """Weights by BERT's names, its config, and the tokenizer.json."""
    reader = Reader(data)
    magic, _ = reader.take("4sI")
    if magic != b"E5S1":
        raise ValueError("not a file of this kind")
    config = dict(zip(SIZES, reader.take("7i")))
    config["layer_norm_eps"], _ = reader.take("fi")
    pieces, specials = vocabulary(reader)
    normal = normal_forms(reader)
    return weights(reader, config), config, tokenizer(pieces, specials, normal)


def vocabulary(reader):
    """Pieces with their scores, and the ids that begin, end, fill and stand for the unknown."""
    count, *specials, length = reader.take("5iQ")
    ends = reader.array("<u4", count + 1)
    scores = reader.array("<f4", count)
    (blob,) = reader.take(f"{length}s")
    pieces = [blob[start:end].decode() for start, end in zip(ends[:-1], ends[1:])]
    return list(zip(pieces, (float(str(score)) for score in scores))), specials


def normal_forms(reader):
    count, length = reader.take("iI")
    end, forms = reader.at + length, {}
    for _ in range(count):
        letter, size = reader.take("IB")
        forms[chr(letter)] = "".join(map(chr, reader.take(f"{size}I")))
    reader.at = end
    return forms


def weights(reader, config):
    tensors = {}
    for _ in range(reader.take("i")[0]):
        (length,) = reader.take("H")
        name, _, count, offset, size = reader.take(f"{length}sBIQQ")
        tensors[name.decode()] = (offset, count, size)

    def floats(name):
        offset, count, _ = tensors[name]
        return np.frombuffer(reader.data, "<f4", count, offset)

    def rows(name, width):
        offset, count, _ = tensors[name]
        blocks = np.frombuffer(reader.data, BLOCK, count // 32, offset)
        halves = np.concatenate([blocks["halves"] & 15, blocks["halves"] >> 4], axis=1).astype(np.float32) - 8
        return (halves * blocks["scale"].astype(np.float32)[:, None]).reshape(-1, width)

    width = config["hidden_size"]
    found = {
        "embeddings.word_embeddings.weight": rows("emb.word", width),
        "embeddings.position_embeddings.weight": floats("emb.pos").reshape(-1, width),
        "embeddings.token_type_embeddings.weight": floats("emb.type").reshape(-1, width),
        "embeddings.LayerNorm.weight": floats("emb.ln.w"),
        "embeddings.LayerNorm.bias": floats("emb.ln.b"),
    }
    for index in range(config["num_hidden_layers"]):
        for short, part in PARTS.items():
            name, source = f"encoder.layer.{index}.{part}", f"l{index}.{short}"
            inner = config["intermediate_size"] if short == "fo" else width
            found[f"{name}.weight"] = floats(f"{source}.w") if "ln" in short else rows(f"{source}.w", inner)
            found[f"{name}.bias"] = floats(f"{source}.b")
    return found


def tokenizer(pieces, specials, normal):
    begin, end, fill, unknown = specials
    special = lambda index: {"id": pieces[index][0], "ids": [index], "tokens": [pieces[index][0]]}
    flags = dict(single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
    token = lambda index: {"SpecialToken": {"id": pieces[index][0], "type_id": 0}}
    text = lambda name: {"Sequence": {"id": name, "type_id": 0}}
    document = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, "content": pieces[index][0], **flags} for index in sorted(specials)],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(character_map(normal)).decode()},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [token(begin), text("A"), token(end)],
            "pair": [token(begin), text("A"), token(end), token(end), text("B"), token(end)],
            "special_tokens": {pieces[index][0]: special(index) for index in (begin, end)},
        },
        "decoder": {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True},
        "model": {"type": "Unigram", "unk_id": unknown, "vocab": pieces, "byte_fallback": False},
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def character_map(normal):
    """The map in the form of SentencePiece: the size of a double-array trie, the trie, the replacements."""
    texts, trie = bytearray(), {}
    for letter, form in sorted(normal.items()):
        node = trie
        for byte in letter.encode():
            node = node.setdefault(byte, {})
        node[0] = len(texts)
        texts += form.encode() + b"\0"
    units = double_array(trie)
    return struct.pack("<I", 4 * len(units)) + np.array(units, "<u4").tobytes() + bytes(texts)


def double_array(trie):
    """Children of a node with base b lie at b ^ byte; a value lies at the base itself, marked by the top bit."""
    units, used, bases = [0] * 256, {0}, {0}
    queue = [(0, trie, 0)]
    for place, node, label in queue:
        base = next(b for b in range(1, 1 << 21) if b not in bases and all(b ^ byte not in used for byte in node))
        bases.add(base)
        units += [0] * (256 * (base // 256 + 1) - len(units))
        units[place] = (base ^ place) << 10 | (0 in node) << 8 | label
        for byte, child in node.items():
            used.add(base ^ byte)
            if byte:
                queue.append((base ^ byte, child, byte))
            else:
                units[base] = 1 << 31 | child
    return units
