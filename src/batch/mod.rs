//! Many conversions, unattended: a list of jobs, each run as a process of its own, at most once, until all are done.
//!
//! [`jobs`] reads lists, [`scan`] makes one, [`state`] and [`fingerprint`] know what is done, [`child`] runs one conversion,
//! [`schedule`] decides who is next, [`run`] puts them together, and [`forecast`] tells what that would do. What happens is told as [`Event`]s, whoever listens.
//! Knows nothing of how a conversion works: to this module it is `ggraft convert` and what that prints.

pub mod child;
pub mod events;
pub mod fingerprint;
pub mod forecast;
pub mod jobs;
pub mod scan;
pub mod schedule;
mod selection;
mod settings;
mod share;
pub mod space;
pub mod state;
pub mod written;

pub use events::{Event, What};
pub use jobs::Job;
pub use schedule::run;
pub use selection::Selection;
pub use settings::Settings;
