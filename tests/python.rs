//! The Python package in `src/python`: what it returns, and what it raises.

use std::path::Path;
use std::process::Command;

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/models/tiny-llama");

/// Runs `script` with the package and `dir`, where it may write; the program comes from PATH, as outside of a wheel.
#[track_caller]
fn python(script: &str) {
    let dir = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_ggraft")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let prelude = format!(
        "import ggraft, json, pathlib\ntiny, out = {TINY:?}, pathlib.Path({:?}, 'out.gguf')\n",
        dir.path()
    );
    let output = Command::new("python3")
        .args(["-c", &format!("{prelude}{script}")])
        .env("PYTHONPATH", Path::new(REPOSITORY).join("src/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PATH", path)
        .output();
    match output {
        Ok(output) => {
            assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr))
        }
        Err(e) => {
            assert!(std::env::var_os("GGRAFT_REQUIRE_LLAMA_CPP").is_none(), "python3: {e}");
            _ = std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: no python3\n");
        }
    }
}

#[test]
fn commands_return_their_reports() {
    python(
        "report = ggraft.convert(tiny, outfile=out, outtype='f16', no_reflink=True)\n\
         assert report['outputs'][0]['bytes'] == out.stat().st_size, report\n\
         assert ggraft.verify(out, tiny)['bytes']['recomputed'] > 0\n\
         assert ggraft.verify(out)\n\
         assert len(ggraft.inspect(out)['tensors']) == 20\n\
         assert ggraft.plan(tiny, outtype='q8_0')['outputs']",
    );
}

#[test]
fn failures_are_exceptions_that_tell_where() {
    python(
        "def raised(kind, call):\n    \
             try: call()\n    \
             except kind as error: return error\n    \
             raise AssertionError(kind)\n\
         import shutil\n\
         usage = raised(ggraft.UsageError, lambda: ggraft.convert(tiny, outtype='f17'))\n\
         assert usage.exit_code == 2 and 'f17' in str(usage), str(usage)\n\
         assert raised(ggraft.UsageError, lambda: ggraft.convert('--frob', outfile=out)).file == '--frob'\n\
         bad = out.parent / 'model'\n\
         shutil.copytree(tiny, bad)\n\
         (bad / 'model.safetensors').write_bytes(b'version https://git-lfs.github.com/spec/v1\\n')\n\
         lfs = raised(ggraft.CheckpointError, lambda: ggraft.convert(bad, outfile=out))\n\
         assert lfs.file.endswith('model.safetensors') and 'git lfs pull' in lfs.hints[0], vars(lfs)\n\
         ggraft.convert(tiny, outfile=out)\n\
         data = bytearray(out.read_bytes()); data[-40] ^= 1; out.write_bytes(data)\n\
         differs = raised(ggraft.DiffersError, lambda: ggraft.verify(out, tiny))\n\
         assert differs.kind == 'differs' and differs.report['differences'], differs.report",
    );
}
