#!/usr/bin/env python3
"""Loads a GGUF file in llama.cpp (the package xllamacpp): exit status 0 if that works. A process of its own, since it may abort."""

import os
import sys

import xllamacpp


def main() -> None:
    params = xllamacpp.CommonParams()
    params.model.path = sys.argv[1]
    params.n_ctx = 64
    params.n_parallel = 1
    params.n_gpu_layers = 0
    params.warmup = params.fit_params = False
    params.verbosity = 1
    params.cpuparams.n_threads = 1
    try:
        xllamacpp.Server(params)
    except Exception as error:
        print(f"cannot load: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)  # not all models let the server come to an end


if __name__ == "__main__":
    main()
