//! How many multiplications a second each kernel makes, on one thread, with weights that stay in the cache.
//!
//!     cargo bench --bench kernels [-- FILTER]

// With --test the modules below bring their tests along, which nobody runs here.
#![allow(dead_code, unused_imports, missing_docs)]

/// The kernels are no part of the library's interface, so they are compiled into the bench.
#[path = "../src/engine"]
mod engine {
    pub(crate) mod kernel;
    pub(crate) mod pool;
}

use candle_core::quantized::GgmlDType;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use engine::kernel::attention::{Floats, Piece, attend};
use engine::kernel::{Activations, float, quantized, silu_times};
use engine::pool::Pool;
use half::{bf16, f16};

const ROWS: usize = 1024;
const COLUMNS: usize = 1024;
/// Decode, replies at the same time, a message, a chunk of a prompt.
const TOKENS: [usize; 5] = [1, 2, 8, 20, 128];
const HEAD_DIM: usize = 64;

fn noise(length: usize) -> Vec<f32> {
    (0..length).map(|i| (i * 7919 % 1003) as f32 / 501.0 - 1.0).collect()
}

fn products(criterion: &mut Criterion) {
    let pool = Pool::new(1).expect("no thread is started");
    let weights = noise(ROWS * COLUMNS);
    let narrow: Vec<bf16> = weights.iter().map(|&weight| bf16::from_f32(weight)).collect();
    measure(criterion, &pool, "f32", &|x, out| float::matmul(&weights, COLUMNS, x, out));
    measure(criterion, &pool, "bf16", &|x, out| float::matmul(&narrow, COLUMNS, x, out));
    for (name, dtype) in [
        ("q8_0", GgmlDType::Q8_0),
        ("q4_0", GgmlDType::Q4_0),
        ("q5_0", GgmlDType::Q5_0),
        ("q4_k", GgmlDType::Q4K),
        ("q6_k", GgmlDType::Q6K),
    ] {
        let row_bytes = COLUMNS / dtype.block_size() * dtype.type_size();
        let mut words = vec![0u64; ROWS * row_bytes / 8];
        let blocks: &mut [u8] = bytemuck::cast_slice_mut(&mut words);
        for (row, weights) in blocks.chunks_exact_mut(row_bytes).zip(weights.chunks_exact(COLUMNS)) {
            quantized::encode(dtype, weights, row);
        }
        measure(criterion, &pool, name, &|x, out| quantized::matmul(dtype, blocks, COLUMNS, x, out));
    }
}

fn measure(criterion: &mut Criterion, pool: &Pool, name: &str, matmul: &dyn Fn(&Activations, &mut [f32])) {
    let mut group = criterion.benchmark_group(name);
    for tokens in TOKENS {
        let (x, mut out) = (noise(tokens * COLUMNS), vec![0.0; tokens * ROWS]);
        group.throughput(Throughput::Elements((tokens * ROWS * COLUMNS) as u64));
        // What is quantised once for several matrices counts here each time.
        let parameter = BenchmarkId::new("tokens", tokens);
        group.bench_function(parameter, |bencher| bencher.iter(|| matmul(&Activations::new(pool, &x), &mut out)));
    }
    group.finish();
}

fn attention(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("attention, one head");
    for positions in [32, 512, 2048] {
        let query = noise(HEAD_DIM);
        let keys: Vec<f16> = noise(positions * HEAD_DIM).into_iter().map(f16::from_f32).collect();
        let values = keys.clone();
        let (mut scores, mut out) = (vec![0.0; positions], vec![0.0; HEAD_DIM]);
        let pieces = [Piece { keys: Floats::F16(&keys), values: Floats::F16(&values) }];
        group.throughput(Throughput::Elements((2 * positions * HEAD_DIM) as u64));
        group.bench_function(BenchmarkId::new("positions", positions), |bencher| {
            bencher.iter(|| attend(&query, &pieces, positions, 0.125, &mut scores, &mut out));
        });
    }
    group.finish();
}

fn silu(criterion: &mut Criterion) {
    let (mut gate, up) = (noise(2816), noise(2816));
    let mut group = criterion.benchmark_group("silu");
    group.throughput(Throughput::Elements(up.len() as u64));
    group.bench_function("one token", |bencher| bencher.iter(|| silu_times(&mut gate, &up)));
    group.finish();
}

criterion_group!(benches, products, attention, silu);
criterion_main!(benches);
