//! `ggraft plan --html` in a browser: Chromium without a window loads the page, a script does what people do, and what it
//! sees is checked; so is what there is to see.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

/// Names under which distributions and vendors install it.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];

/// A browser, or none: then a test says that it was skipped.
fn browser() -> Option<&'static str> {
    let found = BROWSERS.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    if found.is_none() {
        let said = "no chromium";
        assert!(std::env::var_os("GGRAFT_REQUIRE_FS").is_none(), "{said}");
        println!("SKIPPED: {said}");
    }
    found
}

/// A page, the directory it is in, and what shows it.
struct Shown {
    browser: &'static str,
    dir: tempfile::TempDir,
    html: String,
}

impl Shown {
    /// The page for the tiny model with these flags; none without a browser.
    fn of(flags: &[&str]) -> Option<Self> {
        let browser = browser()?;
        // Not below /tmp, of which a Chromium that is a snap sees nothing.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let path = dir.path().join("plan.html");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ggraft"));
        command.arg("plan").arg(tiny()).args(flags).arg("--outfile").arg(dir.path()).arg("--html").arg(&path);
        let done = command.output().unwrap();
        assert!(done.status.success(), "{done:?}");
        let html = fs::read_to_string(path).unwrap();
        Some(Self { browser, dir, html })
    }

    /// Runs Chromium on `html`, and answers what it prints.
    fn chromium(&self, html: &str, arguments: &[&str]) -> String {
        let dir = self.dir.path();
        let file = dir.join("shown.html");
        fs::write(&file, html).unwrap();
        let profile = format!("--user-data-dir={}", dir.join("profile").display());
        let done = Command::new(self.browser)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--hide-scrollbars",
                "--virtual-time-budget=4000",
                &profile,
            ])
            .args(arguments)
            .arg(format!("file://{}", file.display()))
            .output()
            .unwrap();
        assert!(done.status.success(), "{done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    /// What `script`, an expression that may wait, finds on the page in a window of `width` pixels.
    fn found(&self, width: u32, script: &str) -> Value {
        let dir = self.dir.path();
        // In a frame, since windows have a least width. The frame is another page to the browser, so it tells by message.
        let script = format!(
            "<script>setTimeout(async () => {{ let found; try {{ found = {script}; }} catch (e) {{ found = String(e); }} \
         parent.postMessage(JSON.stringify(found), '*'); }}, 300);</script></body>"
        );
        let inner = self.html.replacen("</body>", &script, 1);
        fs::write(dir.join("inner.html"), inner).unwrap();
        let outer = format!(
            "<!DOCTYPE html><meta charset=utf-8><body><pre id=found></pre><iframe src=inner.html style='width:{width}px;\
         height:800px;border:0'></iframe><script>addEventListener('message', (e) => \
         document.getElementById('found').textContent = btoa(unescape(encodeURIComponent(e.data))));</script>"
        );
        let dom = self.chromium(&outer, &["--dump-dom", "--window-size=1400,1000"]);
        let coded = dom.split("<pre id=\"found\">").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let text = Command::new("base64").arg("-d").stdin(piped(dir, &coded)).output().unwrap().stdout;
        serde_json::from_slice(&text).unwrap_or_else(|e| panic!("{e}: {coded:?} from {dom}"))
    }
}

fn piped(dir: &Path, text: &str) -> fs::File {
    let path = dir.join("coded");
    fs::write(&path, text).unwrap();
    fs::File::open(path).unwrap()
}

fn tiny() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/models/tiny-llama")
}

#[test]
fn it_shows_the_model_its_path_and_why() {
    let Some(page) = Shown::of(&["--no-reflink"]) else { return };
    let seen = page.found(
        1200,
        "({ title: document.title, heading: $('title').textContent, path: $('path').textContent, \
           heads: [...document.querySelectorAll('#tensors th')].map((n) => n.textContent), \
           why: [...document.querySelectorAll('#tensors tbody tr')].map((n) => n.lastChild.textContent) })",
    );
    assert_eq!(seen["heading"], "tiny-llama", "{seen}");
    assert_eq!(seen["title"], "ggraft plan: tiny-llama");
    assert_eq!(seen["path"], tiny().to_str().unwrap());
    assert_eq!(seen["heads"].as_array().unwrap().last().unwrap(), "Why not");
    let why = seen["why"].as_array().unwrap();
    assert!(why.len() > 10 && why.iter().all(|reason| !reason.as_str().unwrap().is_empty()), "{seen}");
}

#[test]
fn the_wheel_scrolls_the_page_until_a_map_is_turned_to() {
    let Some(page) = Shown::of(&[]) else { return };
    let seen = page.found(1200,
        "(() => { const canvas = document.querySelector('canvas'), view = views[0], all = view.span, seen = {}; \
           const wheel = (more) => { const box = canvas.getBoundingClientRect(); \
             const event = new WheelEvent('wheel', { deltaY: -400, clientX: box.left + 50, clientY: box.top + 40, \
               bubbles: true, cancelable: true, ...more }); \
             canvas.dispatchEvent(event); return [event.defaultPrevented, view.span < all]; }; \
           document.activeElement.blur(); seen.alone = wheel({}); seen.ctrl = wheel({ ctrlKey: true }); \
           view.show(0, all); canvas.focus(); seen.focused = wheel({}); \
           canvas.dispatchEvent(new KeyboardEvent('keydown', { key: '0' })); seen.key = view.span === all; \
           const [more] = document.querySelectorAll('.tools button'); more.click(); seen.button = view.span < all; \
           canvas.dispatchEvent(new MouseEvent('dblclick')); seen.twice = view.span === all; \
           document.querySelector('#tensors tbody tr').click(); seen.row = view.span < all; return seen; })()",
    );
    let expected = json!({
        "alone": [false, false], "ctrl": [true, true], "focused": [true, true], "key": true, "button": true,
        "twice": true, "row": true,
    });
    assert_eq!(seen, expected);
}

#[test]
fn commands_can_be_copied_and_name_the_real_path() {
    let Some(mut page) = Shown::of(&[]) else { return };
    // What is worth it depends on where this runs; the page draws whatever advice it is given.
    let (before, rest) = page.html.split_once("\"advice\":[").unwrap();
    let (_, after) = rest.split_once(']').unwrap();
    let advice = r#"{"way":"align","align":true,"flags":"","shared":9,"total":10,"extents":1,"files":1,"rewritten":10,
        "staying":0,"worthwhile":true,"caveat":"once"}"#;
    page.html = format!("{before}\"advice\":[{advice}]{after}");
    let seen = page.found(
        1200,
        "await (async () => { const copied = []; Object.defineProperty(navigator, 'clipboard', { value: { \
           writeText: async (text) => copied.push(text) } }); \
           for (const button of document.querySelectorAll('#advice button')) button.click(); \
           await new Promise((done) => setTimeout(done, 50)); \
           return [copied, document.querySelector('#advice button').textContent]; })()",
    );
    let model = tiny().to_str().unwrap().to_owned();
    let commands = [format!("ggraft align {model} --in-place"), format!("ggraft convert {model}")];
    assert_eq!(seen, json!([commands, "copied"]));
}

#[test]
fn many_files_are_closed_and_open_on_a_click() {
    let Some(page) = Shown::of(&["--split-max-tensors", "2"]) else { return };
    let seen = page.found(
        1200,
        "await (async () => { const files = [...document.querySelectorAll('details.file')], seen = { \
           files: files.length > 4, open: files.filter((n) => n.open).length }; \
           files[1].querySelector('summary').click(); await new Promise((done) => setTimeout(done, 100)); \
           seen.drawn = views[1].canvas.width > 900; \
           const rows = document.querySelectorAll('#tensors tbody tr'); rows[rows.length - 1].click(); \
           seen.shown = files[files.length - 1].open; return seen; })()",
    );
    assert_eq!(seen, json!({"files": true, "open": 0, "drawn": true, "shown": true}));
}

#[test]
fn it_fits_a_phone() {
    let Some(page) = Shown::of(&[]) else { return };
    let seen = page.found(
        375,
        "({ wide: document.documentElement.scrollWidth, inner: innerWidth, \
           least: Math.min(...[...document.querySelectorAll('.tools button')].map((n) => \
             Math.min(n.getBoundingClientRect().width, n.getBoundingClientRect().height))) })",
    );
    assert_eq!(seen["inner"], 375, "{seen}");
    assert_eq!(seen["wide"], 375, "something is wider than the screen: {seen}");
    assert!(seen["least"].as_f64().unwrap() >= 40.0, "fingers are wider than that: {seen}");
}

/// How many pixels of the picture have the colour.
fn pixels(picture: &Path, colour: [u8; 3]) -> usize {
    let mut decoder = png::Decoder::new(std::io::BufReader::new(fs::File::open(picture).unwrap()));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().unwrap();
    let mut bytes = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut bytes).unwrap();
    let samples = info.color_type.samples();
    bytes[..info.buffer_size()].chunks_exact(samples).filter(|pixel| pixel[..3] == colour).count()
}

#[test]
fn the_map_is_drawn_to_scale() {
    let Some(page) = Shown::of(&["--no-reflink", "--outtype", "bf16"]) else { return };
    let picture = page.dir.path().join("page.png");
    let shot = format!("--screenshot={}", picture.display());
    page.chromium(&page.html, &[&shot, "--window-size=1200,1000"]);
    let shown = |n: usize, what| assert!(n > 10_000, "{what}: {n} pixels");
    // `--copied` and `--header` of the style sheet; all tensors are copied here, and the tokenizer is in the header.
    shown(pixels(&picture, [0xe3, 0x86, 0x3a]), "copied");
    assert!(pixels(&picture, [0x7b, 0x87, 0x94]) > 200, "no header");
    assert_eq!(pixels(&picture, [0x1f, 0x9d, 0x84]), 0, "nothing is shared");
}
