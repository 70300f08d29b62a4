"""Writes a small llama-architecture model with random weights as a GGUF v3 file.

The model says nothing that makes sense, but a real engine loads it, samples
from it and streams it. Same weights on every run; only the standard library;
nothing is downloaded.

    python3 mk_tiny_gguf.py model.gguf
"""

import array
import random
import struct
import sys

EMBEDDING, LAYERS, HEADS, FEED_FORWARD, CONTEXT = 256, 8, 8, 512, 2048
WORDS = "the a stream token one many of and to is cache wave river".split()

U32, F32, BOOL, STRING, ARRAY, I32 = 4, 6, 7, 8, 9, 5  # GGUF value types
NORMAL, CONTROL = 1, 3  # GGUF token types


def byte_alphabet():
    """The byte-level BPE alphabet: one printable character for each byte."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in printable]
    chars = {b: chr(b) for b in printable}
    chars.update({b: chr(256 + i) for i, b in enumerate(others)})
    return [chars[b] for b in range(256)]


def vocabulary():
    """The tokens and merges: every byte, some words, begin and end."""
    tokens, merges = byte_alphabet(), []
    space = tokens[ord(" ")]
    for word in WORDS:
        so_far = space
        for char in word:
            if so_far + char not in tokens:
                merges.append(so_far + " " + char)
                tokens.append(so_far + char)
            so_far += char
    return tokens + ["<|begin|>", "<|end|>"], merges


def string(text):
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, v):
    if kind == STRING:
        return string(v)
    return struct.pack({U32: "<I", F32: "<f", BOOL: "<B", I32: "<i"}[kind], v)


def pair(key, kind, v, of=None):
    """One metadata entry; `of` is the element type of an array."""
    head = string(key) + struct.pack("<I", kind)
    if kind == ARRAY:
        return head + struct.pack("<IQ", of, len(v)) + b"".join(value(of, e) for e in v)
    return head + value(kind, v)


def metadata(tokens, merges):
    begin, end = len(tokens) - 2, len(tokens) - 1
    return [
        pair("general.architecture", STRING, "llama"),
        pair("general.name", STRING, "tiny-random"),
        pair("general.file_type", U32, 0),
        pair("llama.context_length", U32, CONTEXT),
        pair("llama.embedding_length", U32, EMBEDDING),
        pair("llama.block_count", U32, LAYERS),
        pair("llama.feed_forward_length", U32, FEED_FORWARD),
        pair("llama.attention.head_count", U32, HEADS),
        pair("llama.attention.head_count_kv", U32, HEADS),
        pair("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        pair("llama.rope.dimension_count", U32, EMBEDDING // HEADS),
        pair("llama.vocab_size", U32, len(tokens)),
        pair("tokenizer.ggml.model", STRING, "gpt2"),
        pair("tokenizer.ggml.pre", STRING, "llama-bpe"),
        pair("tokenizer.ggml.tokens", ARRAY, tokens, of=STRING),
        pair("tokenizer.ggml.token_type", ARRAY, [NORMAL] * begin + [CONTROL] * 2, of=I32),
        pair("tokenizer.ggml.merges", ARRAY, merges, of=STRING),
        pair("tokenizer.ggml.bos_token_id", U32, begin),
        pair("tokenizer.ggml.eos_token_id", U32, end),
        pair("tokenizer.ggml.add_bos_token", BOOL, True),
    ]


def weights(vocab):
    """Name, dimensions and spread of every tensor; spread None means all ones."""
    d, ff = EMBEDDING, FEED_FORWARD
    yield "token_embd.weight", (d, vocab), 0.5
    yield "output_norm.weight", (d,), None
    yield "output.weight", (d, vocab), 0.5
    for i in range(LAYERS):
        block = f"blk.{i}."
        yield block + "attn_norm.weight", (d,), None
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"{block}{name}.weight", (d, d), 0.1
        yield block + "ffn_norm.weight", (d,), None
        yield block + "ffn_gate.weight", (d, ff), 0.1
        yield block + "ffn_up.weight", (d, ff), 0.1
        yield block + "ffn_down.weight", (ff, d), 0.1


def pad(data):
    return data + b"\0" * (-len(data) % 32)


def model():
    rand = random.Random(1)
    tokens, merges = vocabulary()
    entries, infos, data = metadata(tokens, merges), [], bytearray()
    for name, dims, spread in weights(len(tokens)):
        count = dims[0] * (dims[1] if len(dims) > 1 else 1)
        if spread is None:
            tensor = array.array("f", [1.0]) * count
        else:
            tensor = array.array("f", (rand.gauss(0, spread) for _ in range(count)))
        if name == "output.weight":  # the two control tokens are never likely: no early end
            tensor[-2 * EMBEDDING:] = array.array("f", [0.0]) * (2 * EMBEDDING)
        if sys.byteorder == "big":
            tensor.byteswap()
        infos.append(string(name) + struct.pack("<I", len(dims))
                     + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", 0, len(data)))
        data += pad(tensor.tobytes())
    head = b"GGUF" + struct.pack("<IQQ", 3, len(infos), len(entries))
    return pad(head + b"".join(entries) + b"".join(infos)) + bytes(data)


if __name__ == "__main__":
    with open(sys.argv[1], "wb") as out:
        out.write(model())
