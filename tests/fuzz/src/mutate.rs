//! Changes JSON where it is interesting: values, keys and structure, instead of braces and commas.

use serde_json::{Map, Value, json};

/// Numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n.max(1)
    }
}

/// `data` with one to three changes; none if it is no JSON.
pub fn json(data: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut root: Value = serde_json::from_slice(data).ok()?;
    let mut random = Random(u64::from(seed));
    for _ in 0..=random.below(3) {
        let pick = random.below(count(&root));
        change(&mut root, &mut { pick }, &mut random);
    }
    serde_json::to_vec(&root).ok()
}

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(count).sum(),
        Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

/// Changes the value that comes after `skip` others.
fn change(value: &mut Value, skip: &mut usize, random: &mut Random) -> bool {
    if *skip == 0 {
        change_here(value, random);
        return true;
    }
    *skip -= 1;
    match value {
        Value::Array(items) => items.iter_mut().any(|item| change(item, skip, random)),
        Value::Object(map) => map.values_mut().any(|item| change(item, skip, random)),
        _ => false,
    }
}

fn change_here(value: &mut Value, random: &mut Random) {
    match (random.below(4), &mut *value) {
        (0, Value::Array(items)) if !items.is_empty() => {
            items.remove(random.below(items.len()));
        }
        (1, Value::Array(items)) if !items.is_empty() => {
            let item = items[random.below(items.len())].clone();
            items.insert(random.below(items.len()), item);
        }
        (2, Value::Array(items)) if !items.is_empty() => {
            let (a, b) = (random.below(items.len()), random.below(items.len()));
            items.swap(a, b);
        }
        (0, Value::Object(map)) if !map.is_empty() => {
            let key = key_of(map, random);
            map.remove(&key);
        }
        (1, Value::Object(map)) if !map.is_empty() => {
            let (a, b) = (key_of(map, random), key_of(map, random));
            map[&a] = map[&b].clone();
        }
        (2, Value::Object(map)) if !map.is_empty() => {
            let key = key_of(map, random);
            let item = map.remove(&key).unwrap_or_default();
            map.insert(INTERESTING_KEYS[random.below(INTERESTING_KEYS.len())].to_owned(), item);
        }
        (0 | 1, Value::Number(n)) => {
            let by = [-1, 1, 2, 7, 64, -64][random.below(6)];
            *value = n.as_i64().map_or(json!(0.5), |n| json!(n.wrapping_add(by)));
        }
        (2, Value::Number(n)) => *value = n.as_i64().map_or(json!(-1e30), |n| json!(n.wrapping_mul(2))),
        (0, Value::String(text)) => *value = json!(text.repeat(2)),
        (1, Value::String(text)) => *value = json!(text.chars().rev().collect::<String>()),
        _ => *value = interesting(random),
    }
}

fn key_of(map: &Map<String, Value>, random: &mut Random) -> String {
    map.keys().nth(random.below(map.len())).cloned().unwrap_or_default()
}

const INTERESTING_KEYS: [&str; 10] = [
    "text_config",
    "rope_scaling",
    "rope_parameters",
    "layer_types",
    "num_local_experts",
    "quantization_config",
    "id",
    "content",
    "",
    "sliding_window",
];

fn interesting(random: &mut Random) -> Value {
    match random.below(26) {
        0 => json!(null),
        1 => json!(true),
        2 => json!(0),
        3 => json!(1),
        4 => json!(-1),
        5 => json!(3),
        6 => json!(0x7fff_ffff),
        7 => json!(0x8000_0000_u64),
        8 => json!(0xffff_ffff_u64),
        9 => json!(0x1_0000_0000_u64),
        10 => json!(i64::MAX),
        11 => json!(u64::MAX),
        12 => json!(1e300),
        13 => json!(0.1),
        14 => json!(-0.0),
        15 => json!(""),
        16 => json!("a"),
        17 => json!("Ġ\u{10ffff}\u{0}"),
        18 => json!([]),
        19 => json!([0]),
        20 => json!([1, 2, 3, 4]),
        21 => json!({}),
        22 => json!({"a": 1}),
        23 => json!([[]]),
        24 => json!("model.layers.1000000.self_attn.q_proj.weight"),
        _ => json!(i64::MIN),
    }
}
