//! The panels of processors whose one instruction multiplies four unsigned bytes with four signed ones and adds all of it up
//! in 32 bits: AVX-VNNI in registers of 256 bits, AVX-512 with VNNI in those of 512. Nothing saturates. Weights are made
//! unsigned by an excess, and what is too much is where the sum begins.

#![allow(clippy::needless_range_loop, reason = "several arrays of registers go by the same index")]

use super::super::activations::Bytes;
use super::super::avx2::load_both;
use super::super::has_avx2;
use super::avx2::{Group, Panel, Quads, ROWS, add_by_halves};
use std::arch::x86_64::*;

/// AVX-VNNI.
pub(super) struct Halves<const EXCESS: i32>(Quads<EXCESS>);

/// AVX-512 with VNNI: a register has all rows.
pub(super) struct Whole<const EXCESS: i32>(Quads<EXCESS>);

impl<const EXCESS: i32> Panel for Halves<EXCESS> {
    type Quant = i8;
    const TOKENS: usize = 4;

    fn runs_here() -> bool {
        has_avx2() && std::arch::is_x86_feature_detected!("avxvnni")
    }

    fn activations(x: &Bytes) -> &[i8] {
        &x.quants
    }

    fn new() -> Box<Self> {
        Box::new(Self(Quads::empty()))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2")]
    unsafe fn fill(&mut self, block: usize, half: usize, weights: [__m256i; 8]) {
        self.0.fill(block, half, weights);
    }

    add_by_halves!("avx2,fma,f16c,avxvnni", |panel, block, x| {
        let mut products = [[_mm256_setzero_si256(); 2]; T];
        for t in 0..T {
            products[t] = [_mm256_set1_epi32(-EXCESS * i32::from(x.sums[t][block])); 2];
        }
        for (quad, weights) in panel.0.block(block).iter().enumerate() {
            let weights = load_both(weights);
            for t in 0..T {
                let four = &x.quants[t][block].as_chunks::<4>().0[quad];
                let four = _mm256_set1_epi32(bytemuck::cast(*four));
                for half in 0..2 {
                    products[t][half] = _mm256_dpbusd_avx_epi32(products[t][half], weights[half], four);
                }
            }
        }
        products
    });
}

impl<const EXCESS: i32> Panel for Whole<EXCESS> {
    type Quant = i8;
    const TOKENS: usize = 8;

    fn runs_here() -> bool {
        has_avx2()
            && std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512vnni")
    }

    fn activations(x: &Bytes) -> &[i8] {
        &x.quants
    }

    fn new() -> Box<Self> {
        Box::new(Self(Quads::empty()))
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx2")]
    unsafe fn fill(&mut self, block: usize, half: usize, weights: [__m256i; 8]) {
        self.0.fill(block, half, weights);
    }

    #[inline]
    #[allow(unsafe_code)]
    #[target_feature(enable = "avx512f,avx512vnni")]
    unsafe fn add<const T: usize>(&self, scales: &[[f32; ROWS]], x: &Group<i8, T>, sums: &mut [[f32; ROWS]; T]) {
        let mut totals = [_mm512_setzero_ps(); T];
        for t in 0..T {
            // SAFETY: a token has the 16 sums of a register.
            totals[t] = unsafe { _mm512_loadu_ps(sums[t].as_ptr()) };
        }
        for (block, row_scales) in scales.iter().enumerate() {
            let mut products = [_mm512_setzero_si512(); T];
            for t in 0..T {
                products[t] = _mm512_set1_epi32(-EXCESS * i32::from(x.sums[t][block]));
            }
            for (quad, weights) in self.0.block(block).iter().enumerate() {
                // SAFETY: a line of the panel is as long as the register.
                let weights = unsafe { _mm512_loadu_si512(weights.as_ptr().cast()) };
                for t in 0..T {
                    let four = &x.quants[t][block].as_chunks::<4>().0[quad];
                    let four = _mm512_set1_epi32(bytemuck::cast(*four));
                    products[t] = _mm512_dpbusd_epi32(products[t], weights, four);
                }
            }
            // SAFETY: a row of scales has the 16 of a register.
            let row_scales = unsafe { _mm512_loadu_ps(row_scales.as_ptr()) };
            for t in 0..T {
                let scale = _mm512_mul_ps(row_scales, _mm512_set1_ps(x.scales[t][block]));
                totals[t] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products[t]), scale, totals[t]);
            }
        }
        for t in 0..T {
            // SAFETY: as where they were read.
            unsafe { _mm512_storeu_ps(sums[t].as_mut_ptr(), totals[t]) };
        }
    }
}
