"""Differences that are meant to be: what one of the two programs says, and why the other does not."""

import re

# Where files differ, by the first tensor or key that does.
DIFFERENT = [
    (r"ffn_(gate|down)_exps\.weight: MXFP4",
     "the reference takes the codes read last for those of the scales read next: where a file ends between the two, it "
     "writes the codes of one matrix with the scales of another; ggraft goes by the names"),
    (r"tensor too much: blk\.\d+\.ffn_gate_exps\.weight",
     "of Grok, the reference drops experts that come last in the checkpoint"),
    (r"tensor too much: blk\.\d+\.ffn_up_exps\.weight",
     "with --fuse-gate-up-exps the reference drops the up matrices of experts that have no gate, and llama.cpp does not load "
     "what is left"),
]
# Where the reference converts and ggraft refuses, by what ggraft says.
REFUSED_HERE = [
    (r"only weights as they were trained can be converted",
     "BitNet whose weights are quantized by another method, too: what it rounds them to depends on their mean, which would have to "
     "be computed of all of them before anything is written"),
    (r"experts of layer \d+ are incomplete: .*\.block_sparse_moe\.experts\.",
     "of MiniMax M2 and M3, the reference drops the experts of a layer that has fewer of them than config.json says, and writes a "
     "file without; of other models with such names it refuses, too"),
    (r"experts of layer \d+ are incomplete: .*\.moe\.\d+\.linear",
     "of Grok, the reference drops the experts beyond the number that config.json says"),
    (r"two tokens have id \d+",
     "the reference takes the one that comes last in a table of transformers whose order is another each time"),
    (r"no tensor of the checkpoint belongs to a projector|would have no elements",
     "the reference writes files without tensors, or with tensors of no elements, which nothing loads"),
    (r"put the tokenizer.json of GPT-NeoX there",
     "the reference puts in the vocabulary of GPT-NeoX, which is 1.7 MB that ggraft would have to carry"),
]
# Where ggraft converts and the reference refuses, by what the reference says.
REFUSED_THERE = [
    (r"Missing <MODEL_TENSOR.FFN_GATE_UP_EXP",
     "--fuse-gate-up-exps where the architecture has no such tensor: nothing is joined, and llama.cpp loads the file"),
    (r"Missing required keys in `rope_parameters`|'PreTrainedConfig' object has no attribute 'max_position_embeddings'|"
     r"^StrictDataclass(Field|Class)ValidationError|^ZeroDivisionError: integer modulo by zero|"
     r"^TypeError: unsupported operand type\(s\) for %: 'int' and 'str'",
     "settings, mostly of rope scaling, that their class in transformers does not take: the reference reads the file without the "
     "defaults of the class, as ggraft does, and then cannot load the tokenizer, which has nothing to do with it"),
    (r"^AssertionError: n_embd not found in hparams",
     "the same of a projector's text model: without the defaults of the class, the reference does not know how wide that is"),
]


def reason(said: str, table: list[tuple[str, str]]) -> str | None:
    return next((why for pattern, why in table if re.search(pattern, said)), None)
