//! The DSpark draft that is part of DeepSeek V4 checkpoints, or published alone (`DeepseekV4DSparkModel` of the reference).

use crate::arch::{Family, Input, Keys, Mtp, names};
use crate::checkpoint::Checkpoint;
use crate::config::{Config, Counts};
use crate::error::{Error, Result};
use crate::gguf::Value;
use crate::vocab;

use super::deepseek4::{self, DEEPSEEK4};

pub(super) const DEEPSEEK4_DSPARK: Family = Family {
    names: &["DeepseekV4DSparkModel"],
    arch: "dflash",
    tensors: names::DFLASH,
    draft: Some(|_| Ok(vocab::gpt2)),
    layers: |config, options, checkpoint| match options.mtp {
        Mtp::Only => Err(config.unsupported("--mtp: all layers of a DSpark draft are its own")),
        Mtp::Keep | Mtp::Drop => stages(config, checkpoint),
    },
    keys: key_values,
    late: |input, keys| {
        let token = input.config.require_u32(&["dspark_noise_token_id"])?;
        keys.values.set_u32("tokenizer.ggml.mask_token_id", token);
        Ok(())
    },
    rename: |_, name| rename(name),
    generate: |input, builder| {
        (0..input.layers).try_for_each(|layer| deepseek4::add_experts(input, builder, layer))
    },
    emit: |input, builder, tensor| match tensor.name.ends_with(".ffn.gate.bias_vl") {
        true => Ok(()),
        false => deepseek4::emit(input, builder, tensor, ROOT),
    },
    ..DEEPSEEK4
};

/// Tensors of the draft's own, by their names in the checkpoint and in the GGUF.
const ROOT: &[(&str, &str)] = &[
    ("main_proj.weight", "fc.weight"),
    ("main_norm.weight", "enc.output_norm.weight"),
    ("markov_head.markov_w1.weight", "markov_w1.weight"),
    ("markov_head.markov_w2.weight", "markov_w2.weight"),
    ("confidence_head.proj.weight", "conf_proj.weight"),
];

/// What else no layer has, under the name that the model has for it.
const OTHERS: [&str; 5] = ["main_proj.scale", "norm.weight", "hc_head_fn", "hc_head_base", "hc_head_scale"];

/// A tensor's number and the rest of its name; none of what is the model's.
fn part(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix("mtp.")?.split_once('.')
}

fn is_root(rest: &str) -> bool {
    OTHERS.contains(&rest) || ROOT.iter().any(|(own, _)| *own == rest)
}

fn rename(name: &str) -> Option<String> {
    let (number, rest) = part(name)?;
    Some(if is_root(rest) { rest.to_owned() } else { format!("layers.{number}.{rest}") })
}

/// How many layers the draft has, by its tensors.
fn stages(config: &Config, checkpoint: &Checkpoint) -> Result<u32> {
    let own = checkpoint.own_tensors().iter().filter_map(|tensor| part(&tensor.name));
    let last =
        own.filter(|(_, rest)| !is_root(rest)).filter_map(|(number, _)| number.parse::<u32>().ok()).max();
    let Some(last) = last else {
        return Err(Error::invalid(
            &checkpoint.dir,
            "expected tensors of a DSpark draft (mtp.…), found none",
        ));
    };
    crate::arch::keys::bounded_layers(config, u64::from(last) + 1)
}

fn key_values(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    deepseek4::key_values(input, &vec![0; input.layers as usize], 0, keys)?;
    keys.set_u32("block_size", Some(config.require_u32(&["dspark_block_size"])?));
    const LAYERS: &str = "dspark_target_layer_ids";
    let Some(Counts::Each(layers)) = config.u32_or_list(&[LAYERS])? else {
        return Err(config.invalid(format!("{LAYERS}: expected a list")));
    };
    let next = layers.iter().map(|layer| layer.checked_add(1)).collect::<Option<Vec<_>>>();
    let next = next.ok_or_else(|| config.invalid(format!("{LAYERS}: a number is absurd")))?;
    if !next.is_empty() {
        keys.set("target_layers", Value::I32s(next));
    }
    Ok(())
}
