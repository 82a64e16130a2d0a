//! What goes wrong with an answer, on demand or at random.

use std::sync::Mutex;

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The answer is this status, with a wish to wait: so many seconds, or until a date.
    Status(u16, Option<String>),
    /// The connection closes before an answer.
    Drop,
    /// It closes after as many bytes of the body.
    Short(u64),
    /// After as many bytes nothing more comes.
    Stall(u64),
    /// The file has another state.
    Changed,
    /// The body is another one of the same length.
    Damaged,
    /// The body never ends, nor does its header say how long it is.
    Endless,
    /// The answer is a redirect to there.
    Redirect(String),
    /// The answer has this header, instead of any other of that name.
    Header(&'static str, String),
    /// The whole file comes, whatever part of it is asked for.
    Whole,
}

/// Faults to come.
#[derive(Default)]
pub struct Faults {
    planned: Mutex<Vec<Planned>>,
    random: Mutex<Random>,
}

/// A fault of the next answer to a request that contains `part`, or of all such answers.
struct Planned {
    part: String,
    fault: Fault,
    always: bool,
}

#[derive(Default)]
struct Random {
    state: u64,
    left: u64,
    /// One of so many answers.
    one_in: u64,
    happened: Vec<Fault>,
}

impl Faults {
    /// The next answer to a request whose path (and host, `cdn` or `hub`) contains `part` has `fault`.
    pub fn plan(&self, part: &str, fault: Fault) {
        self.planned.lock().unwrap().push(Planned { part: part.to_owned(), fault, always: false });
    }

    /// As [`Faults::plan`], for all answers from now on.
    pub fn always(&self, part: &str, fault: Fault) {
        self.planned.lock().unwrap().push(Planned { part: part.to_owned(), fault, always: true });
    }

    /// Nothing more goes wrong.
    pub fn none(&self) {
        self.planned.lock().unwrap().clear();
    }

    /// From now on one of `one_in` answers of files fails, until `count` have; `seed` decides which and how.
    pub fn at_random(&self, seed: u64, one_in: u64, count: u64) {
        *self.random.lock().unwrap() = Random { state: seed, left: count, one_in, happened: Vec::new() };
    }

    /// Those at random that have happened.
    pub fn happened(&self) -> Vec<Fault> {
        self.random.lock().unwrap().happened.clone()
    }

    /// What goes wrong with an answer of `bytes` to `request`, if anything does.
    pub fn next(&self, request: &str, is_file: bool, bytes: u64) -> Option<Fault> {
        let mut planned = self.planned.lock().unwrap();
        if let Some(at) = planned.iter().position(|planned| request.contains(&planned.part)) {
            return Some(match planned[at].always {
                true => planned[at].fault.clone(),
                false => planned.remove(at).fault,
            });
        }
        let mut random = self.random.lock().unwrap();
        if !is_file || random.left == 0 || !random.number().is_multiple_of(random.one_in) {
            return None;
        }
        random.left -= 1;
        let at = random.number() % bytes.max(1);
        let fault = match random.number() % 7 {
            0 => Fault::Status(429, Some("0".into())),
            1 => Fault::Status(503, None),
            2 => Fault::Status(500, None),
            3 => Fault::Drop,
            4 => Fault::Stall(at),
            _ => Fault::Short(at),
        };
        random.happened.push(fault.clone());
        Some(fault)
    }
}

impl Random {
    /// Splitmix64.
    fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
