//! Mamba, Falcon-Mamba and Mamba 2 (`MambaModel`, `Mamba2Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, bare, contents, keys, names};
use crate::error::{Error, Result};
use crate::gguf::KeyValues;
use crate::gguf::Value;
use crate::json::Object;
use crate::vocab::{Padding, TokenizerFiles, gpt2, padded, sentencepiece};

pub(super) const MAMBA: Family = Family {
    names: &["FalconMambaForCausalLM", "MambaForCausalLM", "MambaLMHeadModel"],
    arch: "mamba",
    vocab,
    tensors: names::MAMBA,
    settings: bare,
    keys: mamba_keys,
    emit: mamba,
    ..TEXT
};

pub(super) const MAMBA2: Family = Family {
    names: &["Mamba2ForCausalLM"],
    arch: "mamba2",
    vocab: |kv, files, config| vocab2(kv, files, config, Padding::ConfigOr(16)),
    tensors: names::MAMBA2,
    keys: mamba2_keys,
    rename: |_, name| Some(rename2(name)),
    emit: |input, builder, tensor| mamba2(builder, tensor, Shape::of(input)?),
    ..MAMBA
};

/// No limit that anybody knows of; readers want a number.
pub(super) const CONTEXT: u32 = 1 << 20;

fn mamba_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    // The vocabulary's size is rounded up, so there must be one.
    config.require_u32(&["vocab_size"])?;
    let width = config.require_u32(&["hidden_size", "d_model"])?;
    let twice = keys::times(config, 2, width)?;
    let inner = keys::nonzero(config, &["intermediate_size", "d_inner"])?.unwrap_or(twice);
    if inner != twice {
        let problem = format!("intermediate_size: only {twice}, twice hidden_size, can be converted");
        return Err(config.unsupported(format!("{problem}; found {inner}")));
    }
    let state = keys::nonzero(config, &["state_size", "d_state"])?.unwrap_or(16);
    let rank = keys::nonzero(config, &["time_step_rank", "dt_rank"])?.unwrap_or(width.div_ceil(16));
    keys.set_u32("context_length", Some(CONTEXT));
    keys.set_u32("embedding_length", Some(width));
    // Readers want them, though there are none.
    keys.set_u32("feed_forward_length", Some(0));
    keys.set_u32("attention.head_count", Some(0));
    keys.set_u32("block_count", Some(input.layers));
    let kernel = keys::nonzero(config, &["conv_kernel", "d_conv"])?.unwrap_or(4);
    keys.set_u32("ssm.conv_kernel", Some(kernel));
    keys.set_u32("ssm.inner_size", Some(inner));
    keys.set_u32("ssm.state_size", Some(state));
    keys.set_u32("ssm.time_step_rank", Some(rank));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(epsilon(input, 1e-5)?));
    let falcon = config.map().get("model_type").is_some_and(|kind| kind == "falcon_mamba");
    keys.set("ssm.dt_b_c_rms", Value::Bool(falcon));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// What is added to variances before dividing by them.
pub(super) fn epsilon(input: &Input, default: f32) -> Result<f32> {
    let epsilon = input.config.f32(&["layer_norm_epsilon", "rms_norm_eps"])?;
    Ok(epsilon.filter(|epsilon| *epsilon != 0.0).unwrap_or(default))
}

fn mamba(input: &Input, builder: &mut Builder, mut tensor: Tensor) -> Result<()> {
    let name = builder.resolve(&tensor.name)?;
    tensor = state_space(&name, tensor);
    if name == "output.weight" && repeats_embeddings(input, builder, &tensor)? {
        return Ok(());
    }
    builder.add(tensor)
}

/// What all generations of Mamba need, where `name` is the GGUF name.
pub(super) fn state_space(name: &str, mut tensor: Tensor) -> Tensor {
    if tensor.name.ends_with(".A_log") {
        tensor.expr = tensor.expr.neg_exp();
    }
    if name.ends_with(".ssm_conv1d.weight") {
        tensor.expr = tensor.expr.squeeze();
    }
    tensor
}

/// Whether the output matrix is the matrix of embeddings, saved once more.
fn repeats_embeddings(input: &Input, builder: &Builder, output: &Tensor) -> Result<bool> {
    let embeddings = input
        .tensors
        .iter()
        .take_while(|(name, _)| **name != output.name)
        .filter(|(name, _)| builder.resolve(name).is_ok_and(|name| name == "token_embd.weight"));
    match embeddings.last() {
        Some((_, embeddings)) => contents::equal(input.checkpoint, embeddings, &output.expr),
        None => Ok(false),
    }
}

/// The sizes of Mamba 2's layers.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub inner: u32,
    pub groups: u32,
}

impl Shape {
    fn of(input: &Input) -> Result<Self> {
        let config = input.config;
        let inner = keys::nonzero(config, &["mamba_d_ssm", "intermediate_size", "d_inner"])?;
        let inner = match inner {
            Some(inner) => inner,
            None => expanded(input)?,
        };
        Ok(Self { inner, groups: keys::nonzero(config, &["n_groups"])?.unwrap_or(1) })
    }
}

fn width(input: &Input) -> Result<u32> {
    input.config.require_u32(&["hidden_size", "d_model", "dim"])
}

/// The inner size as it should be.
fn expanded(input: &Input) -> Result<u32> {
    let factor = keys::nonzero(input.config, &["mamba_expand", "expand"])?.unwrap_or(2);
    keys::times(input.config, factor, width(input)?)
}

fn mamba2_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let config = input.config;
    config.require_u32(&["vocab_size"])?;
    let Shape { inner, groups } = Shape::of(input)?;
    let head = keys::nonzero(config, &["mamba_d_head", "head_dim"])?.unwrap_or(64);
    let expected = expanded(input)?;
    if inner != expected || inner % head != 0 {
        return Err(config.unsupported(format!(
            "an inner size of {inner}: only {expected}, as hidden_size and expand say, in heads of {head} can be converted"
        )));
    }
    let kernel = keys::nonzero(config, &["conv_kernel", "d_conv"])?.unwrap_or(4);
    let state = keys::nonzero(config, &["state_size", "d_state"])?.unwrap_or(128);
    keys.set_u32("context_length", Some(CONTEXT));
    keys.set_u32("embedding_length", Some(width(input)?));
    keys.set_u32("feed_forward_length", Some(0));
    keys.set_u32("attention.head_count", Some(0));
    keys.set_u32("block_count", Some(input.layers));
    keys.set_u32("ssm.conv_kernel", Some(kernel));
    keys.set_u32("ssm.inner_size", Some(inner));
    keys.set_u32("ssm.state_size", Some(state));
    keys.set_u32("ssm.time_step_rank", Some(inner / head));
    keys.set_u32("ssm.group_count", Some(groups));
    keys.set_f32("attention.layer_norm_rms_epsilon", Some(epsilon(input, 1e-5)?));
    keys.values.set_u32("general.file_type", input.ftype as u32);
    Ok(())
}

/// Codestral's names are those of Mamba 2 with something in front.
pub(super) fn rename2(name: &str) -> String {
    let codestral = ["model.backbone", "model.lm_head"].iter().any(|start| name.starts_with(start));
    let name = if codestral { name.strip_prefix("model.").unwrap_or(name) } else { name };
    name.strip_suffix(".dt_bias").map_or_else(|| name.to_owned(), |layer| format!("{layer}.dt_proj.bias"))
}

/// Adds a tensor of a Mamba 2 layer.
pub(super) fn mamba2(builder: &mut Builder, mut tensor: Tensor, sizes: Shape) -> Result<()> {
    let name = builder.resolve(&tensor.name)?;
    tensor = state_space(&name, tensor);
    if name.ends_with(".ssm_a") || name.ends_with(".ssm_d") {
        let shape = [tensor.expr.shape(), &[1]].concat();
        tensor.expr = tensor.expr.reshape(&shape)?;
    } else if name.ends_with(".ssm_norm.weight") {
        let (inner, groups) = (u64::from(sizes.inner), u64::from(sizes.groups));
        let shape = [groups, inner.checked_div(groups).unwrap_or(0)];
        tensor.expr = tensor.expr.clone().reshape(&shape).map_err(|_| {
            let (name, found) = (&tensor.name, tensor.expr.shape());
            builder.invalid(format!(
                "{name}: expected {inner} elements in {groups} groups, found shape {found:?}"
            ))
        })?;
    }
    builder.add_as(name, tensor.layer, tensor.expr)
}

/// BPE, else SentencePiece, else GPT-NeoX's; padded to a multiple of 8 or what the configuration says.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let config = padded(Padding::ConfigOr(8), files, config)?;
    match files.tokenizer {
        Some(_) => gpt2(kv, files, &config),
        None => sentencepiece_or_gpt_neox(kv, files, &config),
    }
}

/// SentencePiece, else BPE, else GPT-NeoX's; padded.
pub(super) fn vocab2(
    kv: &mut KeyValues,
    files: &TokenizerFiles,
    config: &Object,
    padding: Padding,
) -> Result<()> {
    let config = padded(padding, files, config)?;
    let (dir, model, codestral) = (&files.dir, "tokenizer.model", "tokenizer.model.v3");
    if !dir.exists(model)? && dir.exists(codestral)? {
        let found = dir.join(codestral);
        return Err(Error::invalid(dir, format!("rename {} to {model}", found.display())));
    }
    if !dir.exists(model)? && files.tokenizer.is_some() {
        return gpt2(kv, files, &config);
    }
    sentencepiece_or_gpt_neox(kv, files, &config)
}

fn sentencepiece_or_gpt_neox(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    match sentencepiece::add(kv, files, config)? {
        true => Ok(()),
        false => Err(Error::unsupported("there is no tokenizer")
            .at(files.dir.path())
            .hint("put the tokenizer.json of GPT-NeoX there, which Mamba models use")),
    }
}
