//! A figure: what was measured, in which unit, each time anew.

use serde_json::{Value, json};

/// One thing that was measured.
pub struct Figure {
    /// For programs; never changes its meaning.
    pub name: String,
    /// Under which heading it stands.
    pub group: &'static str,
    /// For people.
    pub label: String,
    pub unit: &'static str,
    /// In the order in which they were taken; at least one.
    pub samples: Vec<f64>,
}

impl Figure {
    pub fn median(&self) -> f64 {
        let sorted = self.sorted();
        let middle = sorted.len() / 2;
        match sorted.len() % 2 {
            0 => (sorted[middle - 1] + sorted[middle]) / 2.0,
            _ => sorted[middle],
        }
    }

    /// The least and the most.
    pub fn range(&self) -> (f64, f64) {
        let sorted = self.sorted();
        (sorted[0], sorted[sorted.len() - 1])
    }

    pub fn to_json(&self) -> Value {
        let (min, max) = self.range();
        json!({
            "name": self.name, "what": format!("{}: {}", self.group, self.label), "unit": self.unit,
            "median": self.median(), "min": min, "max": max, "samples": self.samples,
        })
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        let figure = |samples: &[f64]| Figure {
            name: String::new(),
            group: "",
            label: String::new(),
            unit: "",
            samples: samples.to_vec(),
        };
        assert_eq!(figure(&[3.0, 1.0, 2.0]).median(), 2.0);
        assert_eq!(figure(&[4.0, 1.0, 2.0, 3.0]).median(), 2.5);
        assert_eq!(figure(&[3.0, 1.0, 2.0]).range(), (1.0, 3.0));
    }
}
