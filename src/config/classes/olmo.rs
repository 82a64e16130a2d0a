//! OLMo 3.

use super::hooks::{Hooks, PLAIN};
use crate::config::layers::{FULL, SLIDING};
use crate::config::rope::ByLayer;
use crate::config::{layers, rope};

pub(super) const OLMO3: Hooks = Hooks {
    layer_types: Some(|config, _| layers::full_every(config, 4, SLIDING, 1)),
    rope: |class, config, extra| {
        let keys = ByLayer { full: "rope_theta", sliding: "rope_theta", scaled: &[FULL] };
        rope::by_layer(class, config, extra, &keys)
    },
    ..PLAIN
};
