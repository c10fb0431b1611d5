//! Reads GGUF files with candle, which knows nothing of what wrote them.

use candle_core::Device;
use candle_core::quantized::gguf_file::{Content, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::Path;

pub struct Gguf {
    pub metadata: HashMap<String, Value>,
    pub tensors: BTreeMap<String, QTensor>,
}

impl Gguf {
    pub fn read(path: &Path) -> Self {
        let mut file = File::open(path).expect("it exists");
        let content = Content::read(&mut file).expect("GGUF");
        let tensor = |name: &String| {
            let tensor = content.tensor(&mut file, name, &Device::Cpu).expect("a tensor");
            (name.clone(), tensor)
        };
        Self { tensors: content.tensor_infos.keys().map(tensor).collect(), metadata: content.metadata }
    }

    pub fn dtype(&self, name: &str) -> GgmlDType {
        self.tensors[name].dtype()
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        self.tensors[name].data().expect("bytes").into_owned()
    }

    /// The weights of a tensor in f32.
    pub fn weights(&self, name: &str) -> Vec<f32> {
        let tensor = self.tensors[name].dequantize(&Device::Cpu).expect("weights");
        tensor.flatten_all().and_then(|tensor| tensor.to_vec1()).expect("f32")
    }

    /// The metadata as text, but for the keys that the types of the tensors decide.
    pub fn facts(&self) -> BTreeMap<String, String> {
        let facts = self.metadata.iter().filter(|(key, _)| *key != "general.file_type");
        facts.map(|(key, value)| (key.clone(), format!("{value:?}"))).collect()
    }
}
