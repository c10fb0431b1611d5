//! The keys and values of the tokens seen so far.
//!
//! A [`Kv`] is a list of segments. A segment that others hold too (a prefix, the history of a forked session) is
//! read-only and shared; new tokens go into a segment of one's own. Nothing is copied when a Kv is cloned, grown or
//! cut.

use super::Config;
use super::bytes::zeroed;
use super::kernel::attention::{Floats, Piece};
use crate::error::Result;
use half::f16;
use half::slice::HalfFloatSliceExt;
use std::sync::Arc;

/// Tokens that a fresh segment has room for when tokens come one at a time.
const SEGMENT: usize = 64;

/// Keys and values of a token sequence, and the sequence itself.
#[derive(Clone, Debug)]
pub struct Kv {
    layout: Layout,
    segments: Vec<Segment>,
    tokens: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
struct Layout {
    layers: usize,
    kv_heads: usize,
    head_dim: usize,
    format: Format,
}

/// How keys and values are stored.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    F32,
    F16,
}

#[derive(Debug)]
enum Data {
    F32(Vec<f32>),
    F16(Vec<f16>),
}

#[derive(Clone, Debug)]
struct Segment {
    block: Arc<Block>,
    /// Positions in use here; other holders of the block may use more.
    length: usize,
}

/// `[layers, 2 (keys, values), kv_heads, capacity, head_dim]`.
#[derive(Debug)]
struct Block {
    data: Data,
    capacity: usize,
}

impl Kv {
    /// Empty, for a model of this shape.
    pub(crate) fn new(config: &Config, format: Format) -> Self {
        let Config { layers, kv_heads, head_dim, .. } = *config;
        let layout = Layout { layers, kv_heads, head_dim, format };
        Self { layout, segments: Vec::new(), tokens: Vec::new() }
    }

    /// What is here, leaving nothing.
    pub(super) fn take(&mut self) -> Self {
        let empty = Self { layout: self.layout, segments: Vec::new(), tokens: Vec::new() };
        std::mem::replace(self, empty)
    }

    #[cfg(test)]
    pub(super) fn empty() -> Self {
        let layout = Layout { layers: 0, kv_heads: 0, head_dim: 0, format: Format::F32 };
        Self { layout, segments: Vec::new(), tokens: Vec::new() }
    }

    /// The tokens whose keys and values are here.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// How many of `tokens`, from the first, are here already.
    pub fn common_prefix(&self, tokens: &[u32]) -> usize {
        self.tokens.iter().zip(tokens).take_while(|(a, b)| a == b).count()
    }

    /// Bytes of the segments, shared ones included.
    pub fn size(&self) -> usize {
        self.segments.iter().map(|segment| segment.block.capacity * self.bytes_per_token()).sum()
    }

    /// Bytes that one token takes.
    pub fn bytes_per_token(&self) -> usize {
        let Layout { layers, kv_heads, head_dim, format } = self.layout;
        let bytes = match format {
            Format::F32 => size_of::<f32>(),
            Format::F16 => size_of::<f16>(),
        };
        layers * 2 * kv_heads * head_dim * bytes
    }

    /// Forgets all but the first `length` tokens.
    pub fn truncate(&mut self, length: usize) {
        self.tokens.truncate(length);
        let mut kept = 0;
        self.segments.retain_mut(|segment| {
            segment.length = segment.length.min(length - kept.min(length));
            kept += segment.length;
            segment.length > 0
        });
    }

    /// Makes room for `tokens` more, in one segment. Returns at which of its positions they start.
    pub(crate) fn reserve(&mut self, tokens: usize) -> Result<usize> {
        if let Some(last) = self.segments.last_mut()
            && last.length + tokens <= last.block.capacity
            && Arc::get_mut(&mut last.block).is_some()
        {
            return Ok(last.length);
        }
        let capacity = if tokens == 1 { SEGMENT } else { tokens.next_multiple_of(16) };
        let Layout { layers, kv_heads, head_dim, format } = self.layout;
        let (numbers, what) = (layers * 2 * kv_heads * capacity * head_dim, "the keys and values");
        let data = match format {
            Format::F32 => Data::F32(zeroed(numbers, what)?),
            Format::F16 => Data::F16(zeroed(numbers, what)?),
        };
        self.segments.push(Segment { block: Arc::new(Block { data, capacity }), length: 0 });
        Ok(0)
    }

    /// Writes keys and values of `layer` at `position` of the reserved segment; each `[kv_heads · head_dim]`.
    pub(crate) fn write(&mut self, layer: usize, position: usize, keys: &[f32], values: &[f32]) {
        let Layout { kv_heads, head_dim, .. } = self.layout;
        let segment = self.segments.last_mut().expect("reserved before written");
        let block = Arc::get_mut(&mut segment.block).expect("a reserved segment is not shared");
        for (which, source) in [keys, values].into_iter().enumerate() {
            for (head, row) in source.chunks_exact(head_dim).enumerate() {
                let start = (((layer * 2 + which) * kv_heads + head) * block.capacity + position) * head_dim;
                match &mut block.data {
                    Data::F32(data) => data[start..start + head_dim].copy_from_slice(row),
                    Data::F16(data) => data[start..start + head_dim].convert_from_f32_slice(row),
                }
            }
        }
    }

    /// Counts the written `tokens` in.
    pub(crate) fn commit(&mut self, tokens: &[u32]) {
        self.segments.last_mut().expect("reserved before committed").length += tokens.len();
        self.tokens.extend_from_slice(tokens);
    }

    /// Drops segments that were reserved but never committed.
    pub(crate) fn discard_uncommitted(&mut self) {
        self.segments.retain(|segment| segment.length > 0);
    }

    /// The pieces of one head, committed or not: the last one has `pending` positions more than committed.
    pub(crate) fn pieces(&self, layer: usize, head: usize, pending: usize) -> Vec<Piece<'_>> {
        let Layout { kv_heads, head_dim, .. } = self.layout;
        let last = self.segments.len() - 1;
        self.segments
            .iter()
            .enumerate()
            .map(|(index, Segment { block, length })| {
                let length = length + if index == last { pending } else { 0 };
                let part = |which: usize| {
                    let start = ((layer * 2 + which) * kv_heads + head) * block.capacity * head_dim;
                    let range = start..start + length * head_dim;
                    match &block.data {
                        Data::F32(data) => Floats::F32(&data[range]),
                        Data::F16(data) => Floats::F16(&data[range]),
                    }
                };
                Piece { keys: part(0), values: part(1) }
            })
            .collect()
    }
}
