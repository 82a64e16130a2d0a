//! HunYuan without and with experts, and with vision (`HunYuanModel`, `HunYuanMoEModel`, `HunyuanVLTextModel` of the
//! reference).

use crate::arch::experts::NAMES;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::config::{Config, Counts, read_json};
use crate::error::{Error, Result};
use crate::gguf::{KeyValues, Value};
use crate::json::{Object, Value as Json};
use crate::vocab::{self, Base, KINDS, SpecialVocab, TokenizerFiles};

pub(super) const HUNYUAN: Family = Family {
    names: &["HunYuanDenseV1ForCausalLM"],
    arch: "hunyuan-dense",
    vocab,
    tensors: names::HUNYUAN_DENSE,
    keys: |input, keys| dense_keys(input, keys, input.rope.str(&["rope_type"])?),
    emit: |input, builder, tensor| {
        let tied = input.config.bool(&["tie_word_embeddings"])?.unwrap_or(false);
        if tied && tensor.name == "lm_head.weight" { Ok(()) } else { builder.add(tensor) }
    },
    ..TEXT
};

pub(super) const HUNYUAN_VL: Family = Family {
    names: &["HunYuanVLForConditionalGeneration"],
    arch: "hunyuan_vl",
    tensors: names::HUNYUAN_VL,
    keys: vision_keys,
    ..HUNYUAN
};

pub(super) const HUNYUAN_MOE: Family = Family {
    names: &["HunYuanMoEV1ForCausalLM"],
    arch: "hunyuan-moe",
    vocab: |kv, files, config| {
        vocab::hunyuan(kv, files, config)?;
        kv.set_u32("tokenizer.ggml.bos_token_id", 127_959);
        Ok(())
    },
    tensors: names::HUNYUAN_MOE,
    keys: expert_keys,
    emit: |input, builder, tensor| match tensor.name.contains("mlp.experts") {
        true => {
            let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
            builder.add_expert(tensor, count, &NAMES)
        }
        false => (HUNYUAN.emit)(input, builder, tensor),
    },
    ..TEXT
};

/// The context that `dynamic` rope scaling reaches, whatever the configuration says.
const LONG: u32 = 256 * 1024;
const XDROPE: &str = "xdrope";

fn dense_keys(input: &Input, keys: &mut Keys, kind: Option<&str>) -> Result<()> {
    // Some files of models without experts say that there is one.
    keys::common_of(input, &input.config.replaced("num_experts", Json::Null), keys)?;
    let Some(kind @ ("dynamic" | XDROPE)) = kind else { return Ok(()) };
    let (config, rope) = (input.config, &input.rope);
    let get = |key: &str, default| if has(rope, key) { rope.require_f64(&[key]) } else { Ok(default) };
    let (alpha, base) = (get("alpha", 50.0)?, get("rope_theta", 10_000.0)?);
    let size = f64::from(config.require_u32(&["head_dim"])?);
    let scaled = base * alpha.powf(size / (size - 2.0));
    #[allow(clippy::cast_possible_truncation)]
    let scaled = Some(scaled as f32).filter(|scaled| scaled.is_finite());
    let absurd = || config.invalid("rope_parameters: alpha and rope_theta are absurd");
    scaled_rope(keys, scaled.ok_or_else(absurd)?);
    if kind == "dynamic" {
        let context = config.u32(&["max_position_embeddings"])?;
        #[allow(clippy::float_cmp)]
        if base != 10_000.0 || !matches!(context, Some(0x8000 | LONG)) {
            let problem =
                "dynamic rope scaling with other than rope_theta 10000 and a context of 32768 or 262144";
            return Err(config.unsupported(problem));
        }
        long_context(keys);
    }
    Ok(())
}

/// Rope that is not scaled but has another base.
fn scaled_rope(keys: &mut Keys, base: f32) {
    keys.set_f32("rope.freq_base", Some(base));
    keys.set("rope.scaling.type", Value::String("none".into()));
    keys.set_f32("rope.scaling.factor", Some(1.0));
}

fn long_context(keys: &mut Keys) {
    keys.set_u32("rope.scaling.original_context_length", Some(LONG));
    keys.set_u32("context_length", Some(LONG));
}

fn expert_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let (config, rope) = (input.config, &input.rope);
    // Settings of layers, which must not differ.
    let same = |key: &str| match config.u32_or_list(&[key])? {
        Some(Counts::Each(list)) if list.iter().all(|each| Some(each) == list.first()) => {
            let each = list.first().and_then(|each| u32::try_from(*each).ok());
            each.map(Some).ok_or_else(|| config.invalid(format!("{key}: expected a number for each layer")))
        }
        _ => Err(config.invalid(format!("{key}: expected one and the same number for each layer"))),
    };
    keys.set_u32("expert_shared_feed_forward_length", Some(config.require_u32(&["intermediate_size"])?));
    keys.set_u32("expert_feed_forward_length", same("moe_intermediate_size")?);
    keys.set_u32("expert_used_count", same("moe_topk")?);
    keys.set_u32("expert_shared_count", same("num_shared_expert")?);
    if rope.str(&["rope_type"])? != Some("dynamic") {
        return Ok(());
    }
    let is =
        |key: &str, number: f64| -> Result<bool> { Ok(!has(rope, key) || rope.f64(&[key])? == Some(number)) };
    let width =
        config.require_u32(&["hidden_size"])?.checked_div(config.require_u32(&["num_attention_heads"])?);
    let context = config.u32(&["max_position_embeddings"])?;
    if !(is("alpha", 1000.0)?
        && is("rope_theta", 10_000.0)?
        && width == Some(128)
        && matches!(context, Some(0x8000 | LONG)))
    {
        let problem = "dynamic rope scaling with other than alpha 1000, rope_theta 10000, heads of 128 and a context of 32768 \
                       or 262144";
        return Err(config.unsupported(problem));
    }
    #[allow(clippy::cast_possible_truncation)]
    scaled_rope(keys, (10_000.0 * 1000f64.powf(128.0 / 126.0)) as f32);
    long_context(keys);
    Ok(())
}

fn has(rope: &Config, key: &str) -> bool {
    rope.map().contains_key(key)
}

/// Rope in several dimensions, which transformers calls dynamic.
fn vision_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    let (config, rope) = (input.config, &input.rope);
    let dynamic = rope.str(&["rope_type"])? == Some("dynamic") && has(rope, "mrope_section");
    let kind = if dynamic { Some(XDROPE) } else { rope.str(&["rope_type"])? };
    dense_keys(input, keys, kind)?;
    if kind != Some(XDROPE) {
        return Ok(());
    }
    let context = config.require_u32(&["max_position_embeddings"])?;
    let sections = if dynamic { "mrope_section" } else { "xdrope_section" };
    let Some(Counts::Each(sections)) = rope.u32_or_list(&[sections])? else {
        return Err(rope.invalid(format!("rope_parameters.{sections}: expected a list of integers")));
    };
    keys.set_f32("rope.freq_base", Some(rope.require_f32(&["rope_theta"])?));
    keys.set_f32("rope.scaling.alpha", Some(rope.require_f32(&["alpha"])?));
    keys.set("rope.scaling.type", Value::String("none".into()));
    let factor = if has(rope, "factor") { rope.require_f32(&["factor"])? } else { 1.0 };
    keys.set_f32("rope.scaling.factor", Some(factor));
    keys.set_u32("rope.scaling.original_context_length", Some(context));
    keys.set_u32("context_length", Some(context));
    keys.set("rope.dimension_sections", Value::I32s(sections));
    Ok(())
}

/// BPE, or HunYuan's tiktoken.
fn vocab(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    if files.tokenizer.is_none() {
        vocab::hunyuan(kv, files, config)?;
        if config.get("hidden_size").and_then(Json::as_u64) == Some(4096) {
            kv.set_u32("tokenizer.ggml.bos_token_id", 127_958);
        }
        return ends(kv, files, config);
    }
    let base = Base::read(files, config)?;
    let pre = base.pre;
    base.write(kv, "gpt2", pre);
    let unpadded = config.get("pad_token_id").and_then(Json::as_i64).is_some_and(|id| id < 0);
    let kinds: Vec<_> = KINDS.into_iter().filter(|kind| !unpadded || *kind != "pad").collect();
    SpecialVocab::load(files, true, &kinds, None)?.write(kv, &files.dir)?;
    ends(kv, files, config)
}

/// The tokens that end texts and turns, which the files of the tokenizer have wrong.
fn ends(kv: &mut KeyValues, files: &TokenizerFiles, config: &Object) -> Result<()> {
    let dir = &files.dir;
    let id = |key: &str, name: &str, id: &Json| {
        let number = id.as_u64().and_then(|id| u32::try_from(id).ok());
        number.ok_or_else(|| Error::invalid(dir.join(name), format!("{key}: expected the number of a token")))
    };
    if let Some(end) = config.get("eod_token_id").filter(|end| !end.is_null()) {
        kv.set_u32("tokenizer.ggml.eos_token_id", id("eod_token_id", "config.json", end)?);
    }
    const GENERATION: &str = "generation_config.json";
    if dir.exists(GENERATION)? {
        let ends = read_json(dir, GENERATION)?;
        if let Some([turn, _, ..]) = ends.get("eos_token_id").and_then(Json::as_array).map(Vec::as_slice) {
            kv.set_u32("tokenizer.ggml.eot_token_id", id("eos_token_id", GENERATION, turn)?);
        }
    }
    Ok(())
}
