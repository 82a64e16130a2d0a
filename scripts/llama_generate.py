#!/usr/bin/env python3
"""Loads a GGUF file in the real llama.cpp and prints what it says after a prompt.

    .venv/bin/python scripts/llama_generate.py MODEL.gguf "The capital of France is" [--n-predict 8]

The continuation is greedy and nothing else goes to standard output. Files are memory-mapped unless
`--load-mode none` or `dio` is given. Of a split model, name the first file. Needs the package xllamacpp
(scripts/venv.sh installs it). Exit status 1 if llama.cpp does not load the file.
"""

import argparse
import sys

import xllamacpp


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("prompt")
    parser.add_argument("--n-predict", type=int, default=24)
    parser.add_argument("--load-mode", choices=["mmap", "none", "dio"], default="mmap")
    args = parser.parse_args()

    params = xllamacpp.CommonParams()
    params.model.path = args.model
    modes = xllamacpp.llama_load_mode
    params.load_mode = {
        "mmap": modes.LLAMA_LOAD_MODE_MMAP, "none": modes.LLAMA_LOAD_MODE_NONE, "dio": modes.LLAMA_LOAD_MODE_DIRECT_IO,
    }[args.load_mode]
    params.n_ctx = 256
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.warmup = params.fit_params = False
    params.verbosity = 1  # errors: why a file does not load
    params.cpuparams.n_threads = 2
    params.sampling.temp = 0.0
    try:
        server = xllamacpp.Server(params)
    except Exception as error:
        print(f"llama.cpp does not load {args.model}: {error}", file=sys.stderr)
        return 1
    reply = server.handle_completions({
        "prompt": args.prompt, "n_predict": args.n_predict, "max_tokens": args.n_predict, "temperature": 0.0,
    })
    if "choices" not in reply:
        print(f"llama.cpp answers {reply}", file=sys.stderr)
        return 1
    print(reply["choices"][0]["text"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
