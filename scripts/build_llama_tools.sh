#!/usr/bin/env bash
# Builds llama-quantize and llama-gguf-split, the two tools that files of the relaxed layout are made for, and
# llama-gguf-hash, whose digests `ggraft inspect --hash` repeats.
#
#     scripts/build_llama_tools.sh LLAMA_CPP_DIR OUT_DIR
#
# LLAMA_CPP_DIR is llama.cpp's source, for instance vendor/llama.cpp of the llama-cpp-python source
# package. The tools are put into OUT_DIR. Needs cmake and a C++ compiler.
set -euo pipefail
[ $# = 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
source=$(realpath "$1") out=$2
[ -f "$source/CMakeLists.txt" ] || { echo "$0: no CMakeLists.txt in $source" >&2; exit 1; }
command -v cmake >/dev/null || { echo "$0: cmake is missing (package cmake)" >&2; exit 1; }
mkdir -p "$out"
build=$(realpath "$out")/build

# Static, so that the tools can be moved; without what needs more than a compiler.
cmake -S "$source" -B "$build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DGGML_OPENMP=OFF \
    -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=ON -DLLAMA_BUILD_SERVER=OFF >"$out/configure.log" 2>&1 ||
    { tail -n 20 "$out/configure.log" >&2; exit 1; }
cmake --build "$build" --target llama-quantize llama-gguf-split llama-gguf-hash --parallel "${JOBS:-2}" >"$out/build.log" 2>&1 ||
    { tail -n 20 "$out/build.log" >&2; exit 1; }
for tool in llama-quantize llama-gguf-split llama-gguf-hash; do
    cp "$build/bin/$tool" "$out"
    echo "$out/$tool"
done
