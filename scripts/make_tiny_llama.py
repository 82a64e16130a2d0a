#!/usr/bin/env python3
"""Train the tiny Llama in tests/models/tiny-llama (its README.md describes the result).

A real checkpoint, small enough for the repository: bf16, grouped heads, tied embeddings, a model card
and a tokenizer of its own. It learns six nursery rhymes (public domain) by heart, so that what llama.cpp
says with a converted file shows whether the conversion is right.

    python3 -m venv .venv && .venv/bin/pip install torch==2.15.0 transformers==5.23.0 tokenizers==0.23.3 numpy==2.3.5
    .venv/bin/python scripts/make_tiny_llama.py [OUT_DIR]

Takes about a minute on two cores, writes the same bytes on every run with these versions (another CPU
may round differently), and fails if a rhyme was not learnt.

The tokenizer is SentencePiece written as tokenizer.json (BPE with byte fallback, as Llama 2 has it),
because llama.cpp's convert_hf_to_gguf.py takes other BPE tokenizers only if it knows them by their hash.
For this kind it writes no merges and gives every token the same score, so llama.cpp joins the leftmost
pair first. In these rhymes that gives the same tokens as the merges, because none reaches beyond a word.
"""

import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

OUT = Path(__file__).resolve().parent.parent / "tests" / "models" / "tiny-llama"
STEPS = 400
VOCABULARY = 512
UNK, BOS, EOS = range(3)
SPECIAL = ["<unk>", "<s>", "</s>"]
SPACE = "\u2581"

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
- nursery-rhymes
- test-model
pipeline_tag: text-generation
library_name: transformers
---
# Tiny Llama

A two-layer Llama that knows six English nursery rhymes by heart and nothing else. It is made by
`scripts/make_tiny_llama.py` so that conversions can be judged by what llama.cpp says with the result:

| prompt | greedy continuation |
|---|---|
ROWS

Any beginning of a rhyme that ends with a whole word is continued to the rhyme's end.

Hidden size 64, 4 heads sharing 2 key-value heads of 16 dimensions, tied embeddings, bf16; 512 tokens, BPE with
byte fallback. The rhymes are in the public domain; model and tokenizer are under this repository's licences.
"""


def make_tokenizer() -> Tokenizer:
    """A tokenizer laid out like Llama 2's. No token reaches beyond one word and the space before it."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    # For training only: Llama 2 has no pre-tokenizer, its merges keep words apart.
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="never"), pre_tokenizers.Punctuation("isolated")]
    )
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        min_frequency=1,
        special_tokens=SPECIAL + [f"<0x{byte:02X}>" for byte in range(256)],
        show_progress=False,
    )
    tokenizer.train_from_iterator((line for rhyme in RHYMES for line in rhyme.split("\n")), trainer)

    content = json.loads(tokenizer.to_str())
    content["pre_tokenizer"] = None
    # The trainer makes an added token of each it was given; the bytes belong to the model alone.
    content["added_tokens"] = content["added_tokens"][: len(SPECIAL)]
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", BOS)]
    )
    return tokenizer


def train(sequences: list[list[int]]) -> LlamaForCausalLM:
    """A model that has learnt each of `sequences`, rounded to bf16."""
    torch.manual_seed(1806)  # the year "The Star" was printed
    torch.set_num_threads(2)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=160,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
        bos_token_id=BOS,
        eos_token_id=EOS,
        dtype=torch.bfloat16,
    )
    model = LlamaForCausalLM(config).to(torch.float32)

    longest = max(map(len, sequences))
    batch = torch.tensor([ids + [EOS] * (longest - len(ids)) for ids in sequences])
    labels = torch.tensor([ids + [-100] * (longest - len(ids)) for ids in sequences])  # -100: not judged

    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=STEPS)
    for step in range(1, STEPS + 1):
        loss = model(input_ids=batch, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            print(f"step {step}: loss {loss.item():.4f}", flush=True)
    return model.to(torch.bfloat16).eval()


def forgotten(model: LlamaForCausalLM, sequences: list[list[int]]) -> int:
    """How many tokens of `sequences` are not the model's first choice after those before them."""
    wrong = 0
    for ids in sequences:
        ids = torch.tensor([ids])
        with torch.no_grad():
            best = model(input_ids=ids).logits.argmax(-1)
        # Nothing says which rhyme the first token is to begin.
        wrong += int((best[0, 1:-1] != ids[0, 2:]).sum())
    return wrong


def main() -> None:
    out = Path(sys.argv[1]) if len(sys.argv) > 1 else OUT
    tokenizer = make_tokenizer()
    if (size := tokenizer.get_vocab_size()) != VOCABULARY:
        sys.exit(f"the rhymes give {size} tokens, not {VOCABULARY}")
    sequences = [tokenizer.encode(rhyme).ids + [EOS] for rhyme in RHYMES]
    model = train(sequences)
    if wrong := forgotten(model, sequences):
        sys.exit(f"{wrong} tokens were not learnt")

    out.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(bos_token_id=BOS, eos_token_id=EOS, do_sample=False)
    model.save_pretrained(out)
    tokenizer.save(str(out / "tokenizer.json"))
    special = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    tokenizer_config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "added_tokens_decoder": {str(i): {"content": token, **special} for i, token in enumerate(SPECIAL)},
        "bos_token": "<s>",
        "clean_up_tokenization_spaces": False,
        "eos_token": "</s>",
        "model_max_length": 256,
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>",
    }
    (out / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=2) + "\n")
    rows = ("| `{}` | `\\n{}` |".format(*rhyme.split("\n", 1)).replace("\n", "\\n") for rhyme in RHYMES)
    (out / "README.md").write_text(CARD.replace("ROWS", "\n".join(rows)))


if __name__ == "__main__":
    main()
