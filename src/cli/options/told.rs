//! What flags say, for those who do something else with them than convert.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::OptionArgs;
use crate::source::OnHub;

impl OptionArgs {
    /// Where to write.
    pub fn outfile(&self) -> Option<&Path> {
        self.outfile.as_deref()
    }

    /// Whether there are several types.
    pub fn is_several(&self) -> bool {
        self.outtype.len() > 1
    }

    /// What is said of a model on a hub.
    pub fn on_hub(&self) -> OnHub {
        OnHub { remote: self.remote, ..self.hub.on_hub() }
    }

    /// What is read besides the model.
    pub fn inputs(&self) -> Vec<PathBuf> {
        [&self.metadata, &self.target_model_dir, &self.lora].into_iter().flatten().cloned().collect()
    }

    /// Arguments of `ggraft verify` that a file made with these does not tell.
    pub fn for_verify(&self) -> Vec<OsString> {
        let with = |flag: &str, value: &OsStr| [OsStr::new(flag), value].into_iter().collect::<OsString>();
        let mut args = Vec::new();
        args.extend(self.model_name.as_ref().map(|name| with("--model-name=", name.as_ref())));
        args.extend(self.metadata.as_ref().map(|file| with("--metadata=", file.as_ref())));
        let target = self.target_model_dir.as_ref();
        args.extend(target.map(|dir| with("--target-model-dir=", dir.as_ref())));
        args.extend(self.mistral_format.then(|| "--mistral-format".into()));
        let own_template = "--disable-mistral-community-chat-template";
        args.extend(self.disable_mistral_community_chat_template.then(|| own_template.into()));
        args
    }
}
