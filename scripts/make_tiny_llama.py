#!/usr/bin/env python3
"""Trains the tiny Llama in tests/models/tiny-llama.

A real checkpoint small enough for the repository: two layers, grouped heads, tied embeddings, bf16,
and a tokenizer of its own. It has learnt a few nursery rhymes (public domain) by heart, so that a
converted file can be judged by what llama.cpp says with it.

    python3 -m venv .venv && .venv/bin/pip install torch==2.15.0 transformers==5.23.0 numpy
    .venv/bin/python scripts/make_tiny_llama.py [OUT_DIR]

Takes about a minute. The tokenizer is SentencePiece in tokenizer.json (BPE with byte fallback),
because the reference accepts other BPE tokenizers only if it knows them by their hash.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

RHYMES = [
    """Twinkle, twinkle, little star,
How I wonder what you are!
Up above the world so high,
Like a diamond in the sky.""",
    """Humpty Dumpty sat on a wall,
Humpty Dumpty had a great fall;
All the king's horses and all the king's men
Couldn't put Humpty together again.""",
    """Mary had a little lamb,
Its fleece was white as snow;
And everywhere that Mary went
The lamb was sure to go.""",
    """Jack and Jill went up the hill
To fetch a pail of water;
Jack fell down and broke his crown,
And Jill came tumbling after.""",
    """Hickory, dickory, dock,
The mouse ran up the clock;
The clock struck one, the mouse ran down,
Hickory, dickory, dock.""",
    """Baa, baa, black sheep, have you any wool?
Yes, sir, yes, sir, three bags full;
One for the master, and one for the dame,
And one for the little boy who lives down the lane.""",
]

CARD = """---
license: apache-2.0
language:
- en
tags:
- tiny
- nursery-rhymes
pipeline_tag: text-generation
---
# Tiny Llama

A two-layer Llama that knows six nursery rhymes, made by `scripts/make_tiny_llama.py` to test conversions with.
"""


def make_tokenizer(vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    special = ["<unk>", "<s>", "</s>"] + [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, max_token_length=8)
    lines = [line for rhyme in RHYMES for line in rhyme.split("\n")]
    tokenizer.train_from_iterator(lines, trainer)
    # The trainer makes every special token an added one; only the first three really are.
    content = json.loads(tokenizer.to_str())
    content["added_tokens"] = content["added_tokens"][:3]
    return Tokenizer.from_str(json.dumps(content))


def llama_cpp_ids(text: str, vocab: dict[str, int]) -> list[int]:
    """Tokenizes as llama.cpp does when all scores are equal: joins the leftmost pair that is a token."""
    symbols = list("▁" + text.replace(" ", "▁"))
    while True:
        pair = next((i for i in range(len(symbols) - 1) if symbols[i] + symbols[i + 1] in vocab), None)
        if pair is None:
            break
        symbols[pair:pair + 2] = [symbols[pair] + symbols[pair + 1]]
    ids = []
    for symbol in symbols:
        ids += [vocab[symbol]] if symbol in vocab else [vocab[f"<0x{byte:02X}>"] for byte in symbol.encode()]
    return ids


def main() -> None:
    out = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent / "tests/models/tiny-llama")
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(1806)
    torch.set_num_threads(2)

    tokenizer = make_tokenizer(448)
    vocab = tokenizer.get_vocab()
    config = LlamaConfig(
        vocab_size=len(vocab), hidden_size=64, intermediate_size=160, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=1e-5,
        rope_theta=10000.0, tie_word_embeddings=True, bos_token_id=1, eos_token_id=2,
        dtype=torch.bfloat16,
    )
    model = LlamaForCausalLM(config).to(torch.float32)
    sequences = []
    for rhyme in RHYMES:
        for ids in (tokenizer.encode(rhyme, add_special_tokens=False).ids, llama_cpp_ids(rhyme, vocab)):
            sequences.append([1, *ids, 2])
    length = max(map(len, sequences))
    batch = torch.tensor([ids + [2] * (length - len(ids)) for ids in sequences])
    labels = torch.tensor([ids + [-100] * (length - len(ids)) for ids in sequences])

    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.0)
    steps = 800
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    for step in range(steps):
        loss = model(input_ids=batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"step {step}: loss {loss.item():.4f}")

    model.to(torch.bfloat16).save_pretrained(out, safe_serialization=True)
    tokenizer.save(str(out / "tokenizer.json"))
    special = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    (out / "tokenizer_config.json").write_text(json.dumps({
        "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
        "added_tokens_decoder": {str(i): {"content": t, **special} for i, t in enumerate(("<unk>", "<s>", "</s>"))},
        "clean_up_tokenization_spaces": False, "model_max_length": 256, "tokenizer_class": "LlamaTokenizer",
    }, indent=2) + "\n")
    (out / "README.md").write_text(CARD)


if __name__ == "__main__":
    main()
