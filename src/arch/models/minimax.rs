//! MiniMax M2 (`MiniMaxM2Model` of the reference).

use crate::arch::builder::Builder;
use crate::arch::experts::ExpertNames;
use crate::arch::tensors::Tensor;
use crate::arch::{Family, Input, Keys, TEXT, keys, names};
use crate::error::Result;

pub(super) const MINIMAX_M2: Family = Family {
    names: &["MiniMaxM2ForCausalLM"],
    arch: "minimax-m2",
    tensors: names::MINIMAXM2,
    keys: m2_keys,
    emit: m2,
    ..TEXT
};

const EXPERTS: ExpertNames = ExpertNames {
    one: "model.layers.{bid}.block_sparse_moe.experts.{xid}.{matrix}.weight",
    stack: "model.layers.{bid}.block_sparse_moe.experts.{matrix}.weight",
    matrices: &["w1", "w2", "w3"],
};

fn m2_keys(input: &Input, keys: &mut Keys) -> Result<()> {
    keys::common(input, keys)?;
    let get = |key: &str| input.config.require_u32(&[key]).map(Some);
    keys.set_u32("expert_feed_forward_length", get("intermediate_size")?);
    keys.set_u32("rope.dimension_count", get("rotary_dim")?);
    Ok(())
}

fn m2(input: &Input, builder: &mut Builder, tensor: Tensor) -> Result<()> {
    if tensor.name.contains("block_sparse_moe.experts.") {
        let count = input.config.require_u32(&["num_local_experts", "num_experts"])?;
        return builder.add_expert(tensor, count, &EXPERTS);
    }
    builder.add(tensor)
}
