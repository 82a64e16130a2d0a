//! Names of tensors that were saved with a wrapper around the model: torch.compile's and DistributedDataParallel's.

use super::Checkpoint;

/// What they put before all names, and who does.
const WRAPPERS: [(&str, &str); 2] = [("_orig_mod.", "torch.compile"), ("module.", "DistributedDataParallel")];

impl Checkpoint {
    /// Leaves out of all names what wrappers put before them; answers what, and who did.
    pub fn unwrap_names(&mut self) -> Vec<(&'static str, &'static str)> {
        let mut found = Vec::new();
        while let Some((prefix, who)) = WRAPPERS.into_iter().find(|(prefix, _)| {
            !self.tensors.is_empty() && self.tensors.iter().all(|tensor| tensor.name.starts_with(prefix))
        }) {
            for tensor in &mut self.tensors {
                tensor.name.drain(..prefix.len());
            }
            found.push((prefix, who));
        }
        found
    }
}
