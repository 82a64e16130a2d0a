//! What a configuration class may do in code, and when.
//!
//! Knows nothing of single classes.

use crate::config::class::Class;
use crate::config::values::{Object, Refusal, null};
use crate::config::{rope, validate};
use crate::json::Value;

/// Derives settings of a configuration from the others and from the keys that the class does not declare.
pub(super) type Rule = fn(&Class, &mut Object, &mut Object) -> Result<(), Refusal>;
/// Makes a list with an entry for each layer.
type LayerTypes = fn(&Object, &mut Object) -> Result<Value, Refusal>;
/// Demands something of the values.
pub(super) type Check = fn(&Object) -> Result<(), Refusal>;

/// A class's code, in the order in which it runs.
pub(in crate::config) struct Hooks {
    /// Whether single layers may differ from the rest (`per_layer_config`).
    pub(super) per_layer: bool,
    /// The key that takes the number of heads where it is null.
    pub(super) key_value_heads: Option<&'static str>,
    /// The part of each head that is rotated, where the file does not say.
    pub(super) rotated: Option<f64>,
    /// What is set before anything is done with the keys that the class does not declare.
    pub(super) before: &'static [Rule],
    /// `layer_types` where it is null.
    pub(super) layer_types: Option<LayerTypes>,
    /// What is set once `layer_types` is.
    pub(super) layered: &'static [Rule],
    /// `rope_parameters` of settings from all over the file; none leaves them as they are.
    pub(super) rope: fn(&Class, &Object, &mut Object) -> Result<Option<Object>, Refusal>,
    /// What is set once everything else is.
    pub(super) after: fn(&mut Object) -> Result<(), Refusal>,
    /// What the class demands.
    pub(super) validate: &'static [Check],
    /// What it demands of lists with an entry for each layer.
    pub(super) validate_layers: fn(&Class, &Object) -> Result<(), Refusal>,
    /// The width of a head where rope needs it even; none where any width will do.
    pub(super) head_dim: fn(&Class, &Object) -> Result<Option<Value>, Refusal>,
    /// What the class demands of `rope_parameters` if there are any; it may move settings out.
    pub(super) validate_rope: fn(&mut Object) -> Result<(), Refusal>,
    /// What is left out of `to_dict()`.
    pub(super) to_dict: fn(&mut Object),
}

/// A class that only declares fields.
pub(super) const PLAIN: Hooks = Hooks {
    per_layer: false,
    key_value_heads: Some("num_key_value_heads"),
    rotated: None,
    before: &[],
    layer_types: None,
    layered: &[],
    rope: rope::gathered,
    after: |_| Ok(()),
    validate: &[],
    validate_layers: validate::layer_types,
    head_dim: rope::head_dim,
    validate_rope: |_| Ok(()),
    to_dict: |_| (),
};

impl Hooks {
    /// Whether the file may have settings for single layers.
    pub(in crate::config) fn allow_per_layer(&self) -> bool {
        self.per_layer
    }

    /// What the class sets before the base class looks at the remaining keys, `extra` (`__post_init__`).
    pub(in crate::config) fn before(
        &self,
        class: &Class,
        config: &mut Object,
        extra: &mut Object,
    ) -> Result<(), Refusal> {
        if let Some(key) = self.key_value_heads
            && null(config, key)
            && let Some(heads) = config.get("num_attention_heads").cloned()
        {
            config.insert(key.into(), heads);
        }
        if let Some(part) = self.rotated {
            extra.entry("partial_rotary_factor".into()).or_insert_with(|| part.into());
        }
        for rule in self.before {
            rule(class, config, extra)?;
        }
        if let Some(kinds) = self.layer_types
            && null(config, "layer_types")
        {
            let kinds = kinds(config, extra)?;
            config.insert("layer_types".into(), kinds);
        }
        self.layered.iter().try_for_each(|rule| rule(class, config, extra))
    }

    /// Moves rope settings out of `extra` and into `rope_parameters`.
    pub(in crate::config) fn convert_rope(
        &self,
        class: &Class,
        config: &mut Object,
        extra: &mut Object,
    ) -> Result<(), Refusal> {
        if rope::is_given(config, extra)
            && let Some(rope) = (self.rope)(class, config, extra)?
        {
            config.insert("rope_parameters".into(), rope.into());
        }
        Ok(())
    }

    /// What the class sets once everything else is.
    pub(in crate::config) fn after(&self, config: &mut Object) -> Result<(), Refusal> {
        (self.after)(config)
    }

    /// Fails where transformers would raise.
    pub(in crate::config) fn validate(&self, class: &Class, config: &mut Object) -> Result<(), Refusal> {
        for check in self.validate {
            check(config)?;
        }
        validate::one_text(config)?;
        (self.validate_layers)(class, config)?;
        if !rope::is_set(config)? {
            return Ok(());
        }
        let head_dim = (self.head_dim)(class, config)?;
        rope::validate(class, config, head_dim.as_ref())?;
        (self.validate_rope)(config)
    }

    /// Removes what `to_dict()` leaves out.
    pub(in crate::config) fn to_dict(&self, config: &mut Object) {
        (self.to_dict)(config);
    }
}
