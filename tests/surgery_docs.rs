//! Every command that docs/surgery.md shows is run as it stands there, one after the other in one directory, and must succeed.

use std::fs;
use std::path::Path;
use std::process::Command;

#[test]
fn every_command_does_what_it_says() {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(repository.join("tests/models/tiny-llama"), dir.path().join("Tiny")).unwrap();
    let bin = Path::new(env!("CARGO_BIN_EXE_ggraft")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let run = |command: &str| {
        let output = Command::new("bash")
            .args(["-o", "pipefail", "-c", command])
            .current_dir(dir.path())
            .env("PATH", &path)
            .output()
            .unwrap();
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    };
    run("ggraft convert Tiny --outfile model.gguf");
    fs::write(dir.path().join("chat.jinja"), "{{ messages }}").unwrap();
    // What is renamed has to be there.
    run("ggraft edit model.gguf --description 'A model' --in-place");
    let text = fs::read_to_string(repository.join("docs/surgery.md")).unwrap();
    let blocks: Vec<&str> = text.split("```").skip(1).step_by(2).collect();
    let commands: Vec<&str> =
        blocks.iter().flat_map(|block| block.lines()).filter(|line| !line.is_empty()).collect();
    assert!(commands.len() > 10, "{commands:?}");
    commands.into_iter().for_each(run);
}
