#!/usr/bin/env python3
"""Has llama.cpp look at an image, or listen to a sound, with small random models that see and hear.

    cargo build
    .venv/bin/python scripts/multimodal.py [NAME...] [--keep DIR]

For each kind, transformers makes a model (which needs torch), ggraft converts it and its projector (--with-mmproj), and
llama.cpp's server (the package xllamacpp) loads both and answers a question about an image of a few colours, or a second of
sound. What it says is noise, since weights are; but it says something, and it has read more tokens than the text alone has, so
that what was seen or heard went through the projector. GGRAFT names another binary than target/debug/ggraft. Exit status 1 if
anything is not as it should be.
"""

import argparse
import base64
import json
import math
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts/conformance"))

TEXT = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "head_dim": 16}
VISION = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "image_size": 56,
          "patch_size": 14}
IMAGES = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
# Embeddings have a row for each token.
ROWS = {"spm": 520, "qwen2-trimmed": 151936}


def kinds() -> dict:
    """For each kind: class, config.json, tokenizer, preprocessor_config.json, and more."""
    rope = {"rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1000000.0}}
    qwen = {"depth": 4, "hidden_size": 64, "intermediate_size": 96, "num_heads": 4, "patch_size": 14, "out_hidden_size": 64,
            "fullatt_block_indexes": [1, 3], "window_size": 56, "spatial_merge_size": 2, "tokens_per_second": 2}
    siglip = {"model_type": "siglip_vision_model", "vision_use_head": False, **VISION}
    whisper = {"d_model": 64, "encoder_layers": 2, "encoder_attention_heads": 4, "encoder_ffn_dim": 96, "num_mel_bins": 128,
               "max_source_positions": 1500, "model_type": "qwen2_audio_encoder"}
    return {
        "qwen2.5-vl": dict(name="Qwen2_5_VLForConditionalGeneration", tokenizer="qwen2-trimmed", config={
            "model_type": "qwen2_5_vl", "text_config": {**TEXT, **rope}, "vision_config": qwen}),
        "gemma3": dict(name="Gemma3ForConditionalGeneration", tokenizer="spm", images={**IMAGES, "image_seq_length": 4}, config={
            "model_type": "gemma3", "text_config": TEXT, "vision_config": siglip, "mm_tokens_per_image": 4},
            rename=("vision_tower.", "vision_tower.vision_model.")),
        "smolvlm": dict(name="SmolVLMForConditionalGeneration", tokenizer="qwen2-trimmed",
                        images={**IMAGES, "size": {"longest_edge": 112}}, config={
            "model_type": "smolvlm", "text_config": {**TEXT, "model_type": "llama"}, "vision_config": {"model_type": "smolvlm_vision", **VISION},
            "scale_factor": 2}, text=("LlamaForCausalLM", "model.text_model.")),
        "pixtral": dict(name="Mistral3ForConditionalGeneration", tokenizer="qwen2-trimmed", config={
            "model_type": "mistral3", "text_config": {**TEXT, "model_type": "mistral"}, "spatial_merge_size": 2,
            "vision_config": {"model_type": "pixtral", **VISION}}, image_break=151900),
        "internvl": dict(name="InternVLForConditionalGeneration", tokenizer="qwen2-trimmed", config={
            "model_type": "internvl", "text_config": {**TEXT, "architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2"},
            "vision_config": {**VISION, "model_type": "internvl_vision", "architectures": ["InternVisionModel"], "image_size": [56, 56],
                              "patch_size": [14, 14]}}, rename=("", "model.")),
        "qwen2-audio": dict(name="Qwen2AudioForConditionalGeneration", tokenizer="qwen2-trimmed", images=None, sound=True, config={
            "model_type": "qwen2_audio", "text_config": {**TEXT, "model_type": "qwen2"}, "audio_config": whisper}),
    }


def make(directory: Path, kind: dict) -> None:
    """The model's directory."""
    import torch
    import transformers
    from safetensors.torch import save_file

    config = {"architectures": [kind["name"]], "torch_dtype": "bfloat16", **kind["config"]}
    text = config["text_config"] = {**config["text_config"], "vocab_size": ROWS[kind["tokenizer"]]}
    text.update({key: 0 for key in ("pad_token_id", "bos_token_id", "eos_token_id")})
    (directory / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    loaded = transformers.AutoConfig.from_pretrained(str(directory))
    model = getattr(transformers, kind["name"])(loaded).to(torch.bfloat16)
    model.save_pretrained(directory)
    (directory / "config.json").write_text(json.dumps(config))
    if "rename" in kind:
        from safetensors.torch import load_file
        (before, after), path = kind["rename"], directory / "model.safetensors"
        save_file({name.replace(before, after, 1) if name.startswith(before) else name: value.contiguous()
                   for name, value in load_file(path).items()}, path)
    for file in (ROOT / "tests/tokenizers" / kind["tokenizer"]).iterdir():
        (directory / file.name).write_bytes(file.read_bytes())
    if "image_break" in kind:
        path = directory / "tokenizer_config.json"
        settings = json.loads(path.read_text())
        settings.setdefault("added_tokens_decoder", {})[str(kind["image_break"])] = {"content": "[IMG_BREAK]"}
        path.write_text(json.dumps(settings))
    if images := kind.get("images", IMAGES):
        (directory / "preprocessor_config.json").write_text(json.dumps(images))


def make_text(whole: Path, directory: Path, name: str, prefix: str) -> None:
    """The language model in `whole` as a model of its own, of class `name`."""
    from safetensors.torch import load_file, save_file

    directory.mkdir(exist_ok=True)
    for file in whole.iterdir():
        if file.suffix != ".safetensors":
            (directory / file.name).write_bytes(file.read_bytes())
    config = json.loads((whole / "config.json").read_text())["text_config"]
    (directory / "config.json").write_text(json.dumps({**config, "architectures": [name]}))
    weights = load_file(whole / "model.safetensors")
    save_file({key.replace(prefix, "model.", 1): value.contiguous() for key, value in weights.items()
               if key.startswith((prefix, "lm_head."))}, directory / "model.safetensors")


def png(side: int = 112) -> bytes:
    """A square of colours."""
    rows = b"".join(b"\0" + bytes(channel for x in range(side) for channel in (x * 2 % 256, y * 2 % 256, (x + y) % 256)) for y in range(side))

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def wav(rate: int = 16000) -> bytes:
    """A second of one tone."""
    data = b"".join(struct.pack("<h", int(12000 * math.sin(math.tau * 440 * i / rate))) for i in range(rate))
    return (b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, rate, 2 * rate, 2, 16)
            + b"data" + struct.pack("<I", len(data)) + data)


def ask(files: list[Path], sound: bool) -> str:
    """What llama.cpp says, after a check that it looked; in a process of its own, for it aborts where it does not like a file."""
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path, params.mmproj.path = map(str, files)
    params.mmproj_use_gpu = False
    params.n_ctx, params.n_parallel, params.n_gpu_layers = 2048, 1, 0
    params.warmup = params.fit_params = False
    params.verbosity, params.cpuparams.n_threads = 1, 1
    params.chat_template = "chatml"
    server = xllamacpp.Server(params)
    if sound:
        seen = {"type": "input_audio", "input_audio": {"data": base64.b64encode(wav()).decode(), "format": "wav"}}
    else:
        seen = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(png()).decode()}}
    read = []
    for parts in ([], [seen]):
        reply = server.handle_chat_completions({"max_tokens": 4, "temperature": 0.0, "messages": [
            {"role": "user", "content": [{"type": "text", "text": "What is this?"}, *parts]}]})
        if "choices" not in reply:
            raise SystemExit(f"llama.cpp answers {reply}")
        read.append(reply["usage"]["prompt_tokens"])
    if read[1] <= read[0] + 1:
        raise SystemExit(f"it read {read[0]} tokens without and {read[1]} with something to see or hear")
    return f"{read[1] - read[0]} tokens of what it {'heard' if sound else 'saw'}, answer of {reply['usage']['completion_tokens']} tokens"


def check(name: str, kind: dict, directory: Path) -> bool:
    model = directory / f"tiny-{name}"
    model.mkdir(exist_ok=True)
    make(model, kind)
    ggraft = os.environ.get("GGRAFT") or str(ROOT / "target/debug/ggraft")
    files = [str(directory / f"{name}.gguf"), str(directory / f"mmproj-{name}.gguf")]

    def convert(model: Path, file: str, *flags: str) -> None:
        subprocess.run([ggraft, "convert", str(model), "--outfile", file, "--quiet", *flags], check=True)

    if "text" in kind:
        # ggraft does not know the language model by the class of the whole.
        make_text(model, directory / f"tiny-{name}-text", *kind["text"])
        convert(directory / f"tiny-{name}-text", files[0])
        convert(model, files[1], "--mmproj")
    else:
        convert(model, files[0], "--with-mmproj")
    done = subprocess.run([sys.executable, __file__, "--ask", *files, *(["--sound"] if kind.get("sound") else [])],
                          capture_output=True, text=True)
    last = (done.stdout if done.returncode == 0 else done.stderr or done.stdout).strip()
    print(f"{name}: {'OK, ' + last if done.returncode == 0 else f'exit code {done.returncode}: ' + last[-1500:]}", flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(kinds())} [all]")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="leave models and files there")
    parser.add_argument("--ask", nargs=2, type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--sound", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.ask:
        print(ask(args.ask, args.sound))
        return 0
    wrong = set(args.names) - set(kinds())
    if wrong:
        parser.error(f"unknown: {', '.join(sorted(wrong))}")
    with tempfile.TemporaryDirectory() as scratch:
        directory = args.keep or Path(scratch)
        directory.mkdir(parents=True, exist_ok=True)
        results = [check(name, kind, directory) for name, kind in kinds().items() if name in (args.names or kinds())]
    print(f"{sum(results)} of {len(results)}")
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
