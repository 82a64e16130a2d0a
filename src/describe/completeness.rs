//! Whether what would be written is a whole model: what llama.cpp's loader would refuse, and what is odd.
//!
//! Looks at the names and shapes of output tensors and at key-values, and knows nothing of files, or of how
//! an architecture makes its tensors. Only what the loader asks of every architecture counts as a problem.

use std::path::Path;

use super::layers::{self, Layers};
use crate::config::Config;
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value};
use crate::tensor::OutputTensor;

/// What was found. Each is a sentence without a full stop.
#[derive(Clone, Debug, Default)]
struct Findings {
    /// What llama.cpp does not load a file for.
    problems: Vec<String>,
    /// What may be right.
    warnings: Vec<String>,
}

/// What to look at.
pub struct Model<'a> {
    /// All that will be written.
    pub tensors: &'a [OutputTensor],
    /// All key-values, those of the tokenizer too.
    pub key_values: &'a KeyValues,
    /// What the key-values were made from.
    pub config: &'a Config,
    /// Whether only layers for multi-token prediction were asked for.
    pub only_prediction: bool,
    /// Whether it drafts for another model, and may use that one's embedding.
    pub drafts: bool,
}

/// Layers' names go on after this with their number and what they have.
const LAYERS: &str = "blk.";
const ENCODER_LAYERS: &str = "enc.blk.";
const DECODER_LAYERS: &str = "dec.blk.";

/// Refuses the model in `dir` if it has `problems`. Warns of them instead unless that is to be `strict`.
///
/// # Errors
/// [`Error::Invalid`] with all of them.
pub fn report(dir: &Path, problems: &[String], strict: bool) -> Result<()> {
    if strict && !problems.is_empty() {
        let problems = problems.join("; ");
        let problem = format!("the model is incomplete, or contradicts itself: {problems}");
        let error = Error::invalid(dir, problem);
        return Err(error
            .hint("get all of the model's files")
            .hint("convert what there is with --allow-incomplete"));
    }
    problems.iter().for_each(|problem| tracing::warn!("{}: {problem}", dir.display()));
    Ok(())
}

impl Model<'_> {
    /// Refuses what llama.cpp would not load, as [`report`] does, and warns of what is odd.
    ///
    /// # Errors
    /// As [`report`].
    pub fn check(&self, dir: &Path, strict: bool) -> Result<()> {
        let Findings { problems, warnings } = self.examine();
        report(dir, &problems, strict)?;
        report(dir, &warnings, false)
    }

    /// Looks for everything.
    fn examine(&self) -> Findings {
        let mut findings = Findings::default();
        if self.tensors.is_empty() {
            findings.problems.push("no tensor of the checkpoint belongs to the model".into());
            return findings;
        }
        self.embeddings(&mut findings);
        self.layers(&mut findings);
        findings
    }

    /// The shapes that the loader expects of embeddings: rows of `embedding_length` elements, as many as something
    /// counts.
    fn embeddings(&self, findings: &mut Findings) {
        let Some(tokens) = self.tensor("token_embd.weight") else {
            if !self.drafts {
                findings.problems.push("there is no token embedding (token_embd.weight)".into());
            }
            return;
        };
        let positions = self.tensor("position_embd.weight");
        let width = self.own("features_length").or_else(|| self.own("embedding_length"));
        for tensor in [Some(tokens), positions].into_iter().flatten() {
            let found = tensor.expr.shape().last().copied().unwrap_or(1);
            if let Some(width) = width.filter(|width| *width != found) {
                let problem = format!("{} is {found} wide, expected {width} (embedding_length)", tensor.name);
                self.contradiction(findings, width, found, problem);
            }
        }
        if let Some(tensor) = positions
            && let Some(length) = self.own("context_length").filter(|length| *length != rows(tensor))
        {
            let found = rows(tensor);
            let problem = format!("{} has {found} rows, expected {length} (context_length)", tensor.name);
            self.contradiction(findings, length, found, problem);
        }
        let types = self.number("tokenizer.ggml.token_type_count");
        if let Some((types, tensor)) = types.zip(self.tensor("token_types.weight"))
            && rows(tensor) != types
        {
            let (name, found) = (&tensor.name, rows(tensor));
            let warning = format!("{name} has {found} rows, {types} are expected (type_vocab_size)");
            findings.warnings.push(warning);
        }
        if let Some(Value::Strings(list)) = self.key_values.get("tokenizer.ggml.tokens")
            && rows(tokens) != list.len() as u64
        {
            let (name, found, count) = (&tokens.name, rows(tokens), list.len());
            let warning = format!("{name} has {found} rows, one for each of {count} tokens is expected");
            findings.warnings.push(warning);
        }
    }

    /// Adds a problem: `expected` by the model's hyperparameters, `found` in its tensors. If the file agrees with the
    /// tensors, it is only a default value that does not.
    fn contradiction(&self, findings: &mut Findings, expected: u64, found: u64, problem: String) {
        match self.config.has_number(found) && !self.config.has_number(expected) {
            true => findings.warnings.push(problem),
            false => findings.problems.push(problem),
        }
    }

    /// Layers that should be there, and what those that are have.
    fn layers(&self, findings: &mut Findings) {
        // Stacks that are run several times count each time; what speaks has layers of other names.
        let stacks = self.own("hrm.layers_per_stack").map(|layers| layers.saturating_mul(2));
        let layers = match self.tensor_with("posnet.") {
            true => 0,
            false => stacks.or_else(|| self.own("block_count")).unwrap_or(0),
        };
        let stacks = match self.tensor_with(ENCODER_LAYERS) || self.tensor_with(DECODER_LAYERS) {
            true => {
                vec![(ENCODER_LAYERS, layers), (DECODER_LAYERS, self.own("decoder_block_count").unwrap_or(0))]
            }
            false => vec![(LAYERS, layers)],
        };
        for (prefix, count) in stacks {
            let layers = self.stack(prefix);
            let prediction = self.own("nextn_predict_layers").unwrap_or(0).min(count);
            let own = count - prediction;
            if !self.only_prediction
                && let Some(missing) = layers::missing(&layers, prefix, 0..own)
            {
                let found = layers.range(..own).count() as u64;
                self.contradiction(
                    findings,
                    own,
                    found,
                    format!("{missing}, expected tensors of {own} layers"),
                );
            }
            if let Some(missing) = layers::missing(&layers, prefix, own..count) {
                let problem =
                    format!("{missing}, expected tensors of {prediction} layers for multi-token prediction");
                // The model itself can do without them.
                match self.only_prediction {
                    true => findings.problems.push(problem),
                    false => findings.warnings.push(problem),
                }
            }
            findings.warnings.extend(layers::uneven(&layers, own, prefix, self.arch()));
        }
    }

    /// What each layer of a stack has.
    fn stack(&self, prefix: &str) -> Layers<'_> {
        let mut layers = Layers::new();
        for tensor in self.tensors {
            let Some((no, rest)) = tensor.name.strip_prefix(prefix).and_then(|name| name.split_once('.'))
            else {
                continue;
            };
            if let Ok(no) = no.parse() {
                layers.entry(no).or_default().push(rest);
            }
        }
        layers.values_mut().for_each(|names| names.sort_unstable());
        layers
    }

    fn tensor(&self, name: &str) -> Option<&OutputTensor> {
        self.tensors.iter().find(|tensor| tensor.name == name)
    }

    fn tensor_with(&self, prefix: &str) -> bool {
        self.tensors.iter().any(|tensor| tensor.name.starts_with(prefix))
    }

    fn arch(&self) -> &[u8] {
        match self.key_values.get("general.architecture") {
            Some(Value::String(arch)) => arch,
            _ => b"",
        }
    }

    /// The value of `ARCH.key`.
    fn own(&self, key: &str) -> Option<u64> {
        self.number(&format!("{}.{key}", String::from_utf8_lossy(self.arch())))
    }

    fn number(&self, key: &str) -> Option<u64> {
        match self.key_values.get(key)? {
            Value::U32(number) => Some((*number).into()),
            _ => None,
        }
    }
}

fn rows(tensor: &OutputTensor) -> u64 {
    tensor.expr.shape().first().copied().unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use serde_json::{Value as Json, json};

    use super::*;
    use crate::dtype::GgmlType;
    use crate::tensor::TensorExpr;

    /// What is found in a model of some tensors and hyperparameters.
    fn examine(arch: &str, tensors: &[(&str, &[u64])], keys: &[(&str, u32)], config: Json) -> Findings {
        let tensor = |(name, shape): &(&str, &[u64])| OutputTensor {
            name: (*name).to_owned(),
            expr: TensorExpr::source(0, shape),
            ggml_type: GgmlType::F32,
        };
        let tensors: Vec<_> = tensors.iter().map(tensor).collect();
        let mut key_values = KeyValues::new();
        key_values.set_string("general.architecture", arch);
        keys.iter().for_each(|(key, value)| key_values.set_u32(format!("{arch}.{key}"), *value));
        let config = crate::json::parse_object(config.to_string().as_bytes()).unwrap();
        let config = Config::from_json(PathBuf::from("config.json"), config).unwrap();
        let (tensors, key_values, config) = (&tensors, &key_values, &config);
        Model { tensors, key_values, config, only_prediction: false, drafts: false }.examine()
    }

    /// Layers with one tensor each.
    fn with_layers<'a>(names: &[&'a str]) -> Vec<(&'a str, &'static [u64])> {
        let embedding = [("token_embd.weight", &[4u64, 8][..])];
        embedding.into_iter().chain(names.iter().map(|name| (*name, &[8u64][..]))).collect()
    }

    #[test]
    fn positions_are_counted() {
        let tensors: [(&str, &[u64]); 2] =
            [("token_embd.weight", &[4, 8]), ("position_embd.weight", &[16, 8])];
        let found = |length| {
            let keys = [("embedding_length", 8), ("context_length", length)];
            examine("gpt2", &tensors, &keys, json!({"n_embd": 8, "n_ctx": length})).problems
        };
        assert_eq!(found(16), [""; 0]);
        assert_eq!(found(32), ["position_embd.weight has 16 rows, expected 32 (context_length)"]);
    }

    #[test]
    fn default_values_do_not_contradict_a_file_that_agrees_with_the_tensors() {
        let found = |config| examine("x", &with_layers(&[]), &[("embedding_length", 768)], config);
        let problem = "token_embd.weight is 8 wide, expected 768 (embedding_length)";
        assert_eq!(found(json!({"hidden_size": 768})).problems, [problem]);
        assert_eq!(found(json!({"text_config": {"hidden_size": 768}, "layers": 8})).problems, [problem]);
        assert_eq!(found(json!({})).problems, [problem]);
        let agrees = found(json!({"n_embd": 8}));
        assert_eq!(
            (agrees.problems.as_slice(), agrees.warnings.as_slice()),
            (&[][..], &[problem.to_owned()][..])
        );
    }

    #[test]
    fn layers_for_prediction_may_be_left_out() {
        let names = ["blk.0.a", "blk.1.a", "blk.2.a", "blk.2.nextn"];
        let keys = [("block_count", 3), ("nextn_predict_layers", 1)];
        let found = |names| examine("x", &with_layers(names), &keys, json!({}));
        assert_eq!((found(&names).problems.len(), found(&names).warnings.len()), (0, 0));
        let without = found(&names[..2]);
        assert_eq!(without.problems, [""; 0]);
        assert_eq!(
            without.warnings,
            ["there are no tensors blk.2, expected tensors of 1 layers for multi-token prediction"]
        );
        let alone = found(&names[2..]);
        assert_eq!(alone.problems, ["there are no tensors blk.0, blk.1, expected tensors of 2 layers"]);
    }

    #[test]
    fn encoder_and_decoder_have_layers_of_their_own() {
        let names = ["enc.blk.0.a", "enc.blk.1.a", "dec.blk.0.a"];
        let found = |decoder| {
            let keys = [("block_count", 2), ("decoder_block_count", decoder)];
            examine("t5", &with_layers(&names), &keys, json!({})).problems
        };
        assert_eq!(found(1), [""; 0]);
        assert_eq!(found(2), ["there are no tensors dec.blk.1, expected tensors of 2 layers"]);
    }

    #[test]
    fn layers_of_other_kinds_are_no_odd_ones() {
        let found = |arch, names: &[&str]| {
            examine(arch, &with_layers(names), &[("block_count", 3)], json!({})).warnings
        };
        let hybrid =
            ["blk.0.norm", "blk.0.attn_q", "blk.1.norm", "blk.1.ssm_in", "blk.2.norm", "blk.2.ssm_in"];
        assert_eq!(found("x", &hybrid), [""; 0]);
        let more_in_one = ["blk.0.norm", "blk.0.extra", "blk.1.norm", "blk.2.norm"];
        assert_eq!(found("x", &more_in_one), [""; 0]);
        let less_in_one =
            ["blk.0.a", "blk.1.a", "blk.1.attn_norm.weight", "blk.2.a", "blk.2.attn_norm.weight"];
        assert_eq!(
            found("x", &less_in_one),
            ["blk.0 has no \"attn_norm.weight\"; blk.1 has, and is otherwise alike"]
        );
        assert_eq!(found("modern-bert", &less_in_one), [""; 0]);
    }
}
