"""An ONNX graph of a BERT encoder from its weights, in plain operators of opset 17, and its int8 form.

One run gives both `last_hidden_state` [batch, sequence, width], the token states, and `sentence_embedding`
[batch, width], their mean over the attention mask at length one. The weights are only moved, scaled and rounded one
by one, and what is summed is summed exactly, so every machine writes the same bytes.
"""

import math

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
IR_VERSION = 8
# Finite, so that a fully masked row stays finite too; exp() of it is zero in f32 and in f16.
MASKED = -10000.0


class Graph:
    """Nodes and initializers in the order in which they are made."""

    def __init__(self):
        self.nodes, self.initializers, self.names = [], [], set()

    def constant(self, name, array):
        if name not in self.names:
            self.names.add(name)
            self.initializers.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def ints(self, name, values):
        return self.constant(name, np.array(values, dtype=np.int64))

    def floats(self, name, values):
        return self.constant(name, np.array(values, dtype=np.float32))

    def node(self, operator, inputs, name, outputs=None, **attributes):
        outputs = outputs or [name]
        self.nodes.append(helper.make_node(operator, inputs, outputs, name=name, **attributes))
        return outputs[0]

    def model(self, width):
        tokens = ["batch", "sequence"]
        inputs = ["input_ids", "attention_mask", "token_type_ids"]
        inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, tokens) for name in inputs]
        outputs = [
            helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [*tokens, width]),
            helper.make_tensor_value_info("sentence_embedding", TensorProto.FLOAT, ["batch", width]),
        ]
        graph = helper.make_graph(self.nodes, "encoder", inputs, outputs, self.initializers)
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="merit")
        onnx.checker.check_model(model)
        return model


class Float:
    """Dense layers and tables kept in f32."""

    @staticmethod
    def dense(graph, x, name, weight, bias, sizes=None):
        product = graph.node("MatMul", [x, graph.constant(f"{name}.weight", weight)], f"{name}.matmul")
        return graph.node("Add", [product, graph.constant(f"{name}.bias", bias)], name)

    @staticmethod
    def table(graph, ids, name, rows):
        return graph.node("Gather", [graph.constant(f"{name}.table", rows), ids], name)

    @staticmethod
    def normal_sizes(weights, norm):
        """No sizes: nothing is rounded."""

    @staticmethod
    def gelu_sizes(weights, norm, dense):
        """No sizes: nothing is rounded."""


def build(weights, config, kind=Float):
    """The encoder of `config` (a BERT config.json) with `weights` (name to array)."""
    layers, width = config["num_hidden_layers"], config["hidden_size"]
    graph = Graph()
    mask = graph.node("Cast", ["attention_mask"], "mask", to=TensorProto.FLOAT)
    x = embed(graph, weights, config, kind)
    wide = graph.node("Unsqueeze", [mask, graph.ints("axes_1_2", [1, 2])], "mask.keys")
    hidden = graph.node("Sub", [graph.floats("one", 1.0), wide], "mask.hidden")
    bias = graph.node("Mul", [hidden, graph.floats("masked", MASKED)], "mask.bias")
    for index in range(layers):
        x = layer(graph, weights, config, kind, index, x, bias)
    graph.node("Identity", [x], "last_hidden_state")
    pool(graph, x, mask)
    return graph.model(width)


def embed(graph, weights, config, kind):
    word = kind.table(graph, "input_ids", "word", weights["embeddings.word_embeddings.weight"])
    types = weights["embeddings.token_type_embeddings.weight"]
    types = Float.table(graph, "token_type_ids", "type", types)
    shape = graph.node("Shape", ["input_ids"], "shape")
    length = graph.node("Gather", [shape, graph.ints("axis_1", 1)], "length")
    positions = graph.node("Range", [graph.ints("zero", 0), length, graph.ints("step", 1)], "positions")
    place = Float.table(graph, positions, "place", weights["embeddings.position_embeddings.weight"])
    total = graph.node("Add", [word, types], "word_type")
    total = graph.node("Add", [total, place], "word_type_place")
    return normalize(graph, weights, config, total, "embeddings.LayerNorm", "embedding")


def layer(graph, weights, config, kind, index, x, bias):
    source, name = f"encoder.layer.{index}.", f"layer{index}"

    def dense(x, part, label, sizes=None):
        weight, offset = weights[f"{source}{part}.weight"].T, weights[f"{source}{part}.bias"]
        return kind.dense(graph, x, f"{name}.{label}", weight, offset, sizes)

    before = f"encoder.layer.{index - 1}.output.LayerNorm" if index else "embeddings.LayerNorm"
    mixed = attend(graph, config, dense, name, x, bias, kind.normal_sizes(weights, before))
    mixed = dense(mixed, "attention.output.dense", "mix")
    mixed = graph.node("Add", [mixed, x], f"{name}.mix.residual")
    middle = f"{source}attention.output.LayerNorm"
    x = normalize(graph, weights, config, mixed, middle, f"{name}.mix.norm")
    y = dense(x, "intermediate.dense", "widen", kind.normal_sizes(weights, middle))
    ratio = graph.node("Div", [y, graph.floats("sqrt_2", np.sqrt(2.0))], f"{name}.gelu.ratio")
    error = graph.node("Erf", [ratio], f"{name}.gelu.erf")
    above = graph.node("Add", [error, graph.floats("one", 1.0)], f"{name}.gelu.above")
    y = graph.node("Mul", [y, above], f"{name}.gelu.twice")
    y = graph.node("Mul", [y, graph.floats("half", 0.5)], f"{name}.gelu")
    y = dense(y, "output.dense", "narrow", kind.gelu_sizes(weights, middle, f"{source}intermediate.dense"))
    y = graph.node("Add", [y, x], f"{name}.narrow.residual")
    return normalize(graph, weights, config, y, f"{source}output.LayerNorm", f"{name}.narrow.norm")


def attend(graph, config, dense, name, x, bias, sizes):
    heads, width = config["num_attention_heads"], config["hidden_size"]
    split, join = graph.ints("split", [0, 0, heads, width // heads]), graph.ints("join", [0, 0, width])

    def part(source, label, order):
        y = dense(x, f"attention.self.{source}", label, sizes)
        y = graph.node("Reshape", [y, split], f"{name}.{label}.split")
        return graph.node("Transpose", [y], f"{name}.{label}.heads", perm=order)

    query = part("query", "query", [0, 2, 1, 3])
    key = part("key", "key", [0, 2, 3, 1])
    value = part("value", "value", [0, 2, 1, 3])
    score = graph.node("MatMul", [query, key], f"{name}.dot")
    score = graph.node("Div", [score, graph.floats("sqrt_head", np.sqrt(width // heads))], f"{name}.scaled")
    score = graph.node("Add", [score, bias], f"{name}.score")
    score = graph.node("Softmax", [score], f"{name}.attention", axis=-1)
    y = graph.node("MatMul", [score, value], f"{name}.mixed.heads")
    y = graph.node("Transpose", [y], f"{name}.mixed.tokens", perm=[0, 2, 1, 3])
    return graph.node("Reshape", [y, join], f"{name}.mixed")


def normalize(graph, weights, config, x, source, name):
    gain = graph.constant(f"{name}.gain", weights[f"{source}.weight"])
    shift = graph.constant(f"{name}.shift", weights[f"{source}.bias"])
    return graph.node("LayerNormalization", [x, gain, shift], name, axis=-1, epsilon=config["layer_norm_eps"])


def pool(graph, x, mask):
    shown = graph.node("Unsqueeze", [mask, graph.ints("axes_2", [2])], "mask.tokens")
    masked = graph.node("Mul", [x, shown], "pool.masked")
    total = graph.node("ReduceSum", [masked, graph.ints("axes_1", [1])], "pool.total", keepdims=0)
    count = graph.node("ReduceSum", [shown, "axes_1"], "pool.count", keepdims=0)
    count = graph.node("Clip", [count, graph.floats("tiny", 1e-9)], "pool.divisor")
    mean = graph.node("Div", [total, count], "pool.mean")
    length = graph.node("ReduceL2", [mean], "pool.length", axes=[-1], keepdims=1)
    length = graph.node("Clip", [length, "tiny"], "pool.safe_length")
    graph.node("Div", [mean, length], "sentence_embedding")


class Int8(Float):
    """Weights in seven bits by output column, activations in eight bits by the range that each run finds.

    Seven bits, because the instructions of processors without VNNI saturate when all eight are used. A few columns of
    the activations are far larger than the others, which would leave the others few of their 256 steps; so each
    column is divided by the square root of the size that the weights lead to expect, and the next weights multiplied.
    """

    @staticmethod
    def dense(graph, x, name, weight, bias, sizes=None):
        if sizes is not None:
            factors = np.sqrt(sizes / np.median(sizes)).astype(np.float32)
            weight = weight * factors[:, None]
            x = once(graph, "Mul", [x, graph.constant(f"{x}.evening", 1 / factors)], f"{x}.even")
        weight, scale = by_scale(weight, 0, 63)
        parts = [f"{x}.int8", f"{x}.scale", f"{x}.zero"]
        once(graph, "DynamicQuantizeLinear", [x], parts[0], parts)
        product = [parts[0], graph.constant(f"{name}.weight", weight), parts[2]]
        product = graph.node("MatMulInteger", product, f"{name}.matmul")
        product = graph.node("Cast", [product], f"{name}.float", to=TensorProto.FLOAT)
        scale = graph.constant(f"{name}.weight_scale", scale.reshape(-1))
        scale = graph.node("Mul", [parts[1], scale], f"{name}.rescale")
        product = graph.node("Mul", [product, scale], f"{name}.rescaled")
        return graph.node("Add", [product, graph.constant(f"{name}.bias", bias)], name)

    @staticmethod
    def table(graph, ids, name, rows):
        rows, scales = by_scale(rows, 1, 127)
        picked = graph.node("Gather", [graph.constant(f"{name}.table", rows), ids], f"{name}.int8")
        picked = graph.node("Cast", [picked], f"{name}.float", to=TensorProto.FLOAT)
        scales = graph.node("Gather", [graph.constant(f"{name}.scales", scales), ids], f"{name}.scale")
        return graph.node("Mul", [picked, scales], name)

    @staticmethod
    def normal_sizes(weights, norm):
        """How large the columns of a normalised tensor become: three deviations from their mean."""
        return 3 * np.abs(weights[f"{norm}.weight"]) + np.abs(weights[f"{norm}.bias"])

    @staticmethod
    def gelu_sizes(weights, norm, dense):
        """How large the columns of gelu(dense(norm)) become: six deviations, and never below gelu's least value."""
        gain, shift, weight = weights[f"{norm}.weight"], weights[f"{norm}.bias"], weights[f"{dense}.weight"]
        mean = np.array([math.fsum(row) for row in weight * shift]) + weights[f"{dense}.bias"]
        deviation = np.sqrt([math.fsum(row) for row in np.square(weight * gain)])
        return np.maximum(mean + 6 * deviation, 0.17)


def once(graph, operator, inputs, name, outputs=None):
    """The node `name`, shared by all who ask for it."""
    if name not in graph.names:
        graph.names.add(name)
        graph.node(operator, inputs, name, outputs)
    return name


def by_scale(array, axis, top):
    """`array` as int8 in -top..top, with one f32 scale per slice across `axis` (0: column, 1: row)."""
    scale = np.abs(array).max(axis=axis, keepdims=True).astype(np.float32) / np.float32(top)
    scale[scale == 0] = 1
    return np.rint(array / scale).astype(np.int8), scale
