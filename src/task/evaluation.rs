//! How good a task is on texts whose labels are known.

use super::batch::Batch;
use super::classification::Classification;
use crate::error::{Result, fail};
use serde::Serialize;

/// Bins of the calibration error.
const BINS: usize = 10;

/// The figures of a task on texts with known labels. Rows with an error, and rows without a known label, count only in
/// `failed` and `unlabelled`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Rows that the figures are of.
    pub rows: usize,
    /// Rows with an error.
    pub failed: usize,
    /// Rows without a known label.
    pub unlabelled: usize,
    /// Share of rows with the right label.
    pub accuracy: f64,
    /// Mean of the labels' F1; a label that neither occurs nor is found does not count.
    pub macro_f1: f64,
    /// Expected calibration error (Guo et al. 2017) over ten equal bins of the score: how far scores are from shares of
    /// right answers.
    pub calibration_error: f64,
    /// Mean squared distance of the probabilities from the truth, 0 to 2 (Brier 1950).
    pub brier: f64,
    /// Mean negative logarithm of the true label's probability.
    pub log_loss: f64,
    /// The score from which on an answer counts as sure.
    pub threshold: f64,
    /// Share of rows that are sure.
    pub coverage: f64,
    /// Share of right ones among the sure; 0 if there is none.
    pub sure_accuracy: f64,
    /// Rows by true label (outer) and found label (inner).
    pub confusion: Vec<Vec<usize>>,
    /// Figures of each label.
    pub labels: Vec<LabelEvaluation>,
}

/// The figures of one label.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LabelEvaluation {
    /// The label's text.
    pub label: String,
    /// Rows that have it.
    pub rows: usize,
    /// Rows found to have it.
    pub found: usize,
    /// Share of right ones among those found to have it; 0 if there is none.
    pub precision: f64,
    /// Share of those found among those that have it; 0 if there is none.
    pub recall: f64,
    /// Harmonic mean of both.
    pub f1: f64,
}

impl Batch {
    /// Compares the rows with their true labels, by number; `None` where it is not known.
    ///
    /// # Errors
    /// `InvalidArgument` when there are not as many labels as rows, a number is no label's, or nothing can be compared.
    pub fn evaluate(&self, truth: &[Option<usize>]) -> Result<Evaluation> {
        let pairs = self.known(truth)?;
        let labels = &self.definition.labels;
        let n = pairs.len() as f64;
        let mut confusion = vec![vec![0; labels.len()]; labels.len()];
        let mut bins = [(0.0, 0.0); BINS];
        let (mut brier, mut log_loss, mut sure, mut sure_right) = (0.0, 0.0, 0.0, 0.0);
        for &(found, truth) in &pairs {
            let right = f64::from(u8::from(found.index == truth));
            confusion[truth][found.index] += 1;
            let bin = &mut bins[((found.score * BINS as f64).ceil() as usize).clamp(1, BINS) - 1];
            *bin = (bin.0 + found.score, bin.1 + right);
            brier += found
                .probabilities
                .iter()
                .enumerate()
                .map(|(label, p)| (p - f64::from(u8::from(label == truth))).powi(2))
                .sum::<f64>();
            log_loss -= found.probabilities[truth].max(f64::MIN_POSITIVE).ln();
            if found.score >= self.threshold {
                sure += 1.0;
                sure_right += right;
            }
        }
        let figures: Vec<_> = (0..labels.len()).map(|label| of_label(&labels[label].text, &confusion, label)).collect();
        let f1: Vec<f64> = figures.iter().filter(|label| label.rows + label.found > 0).map(|label| label.f1).collect();
        Ok(Evaluation {
            rows: pairs.len(),
            failed: self.rows.iter().filter(|row| row.is_err()).count(),
            unlabelled: truth.iter().zip(&self.rows).filter(|(truth, row)| truth.is_none() && row.is_ok()).count(),
            accuracy: (0..labels.len()).map(|label| confusion[label][label]).sum::<usize>() as f64 / n,
            macro_f1: f1.iter().sum::<f64>() / f1.len() as f64,
            calibration_error: bins.iter().map(|(score, right)| (score - right).abs()).sum::<f64>() / n,
            brier: brier / n,
            log_loss: log_loss / n,
            threshold: self.threshold,
            coverage: sure / n,
            sure_accuracy: if sure > 0.0 { sure_right / sure } else { 0.0 },
            confusion,
            labels: figures,
        })
    }

    /// The rows whose result and true label are known; at least one.
    pub(crate) fn known(&self, truth: &[Option<usize>]) -> Result<Vec<(&Classification, usize)>> {
        if truth.len() != self.rows.len() {
            let (labels, rows) = (truth.len(), self.rows.len());
            fail!(InvalidArgument, "there are {labels} true labels for {rows} rows; give one for each");
        }
        let mut pairs = Vec::new();
        for (number, (row, truth)) in self.rows.iter().zip(truth).enumerate() {
            if let (Ok(row), &Some(truth)) = (row, truth) {
                if truth >= self.definition.labels.len() {
                    let most = self.definition.labels.len() - 1;
                    fail!(InvalidArgument, "the true label of row {number} is {truth}; labels go from 0 to {most}");
                }
                pairs.push((row, truth));
            }
        }
        if pairs.is_empty() {
            fail!(InvalidArgument, "no row has both a result and a true label; there is nothing to compare");
        }
        Ok(pairs)
    }
}

fn of_label(text: &str, confusion: &[Vec<usize>], label: usize) -> LabelEvaluation {
    let right = confusion[label][label] as f64;
    let rows: usize = confusion[label].iter().sum();
    let found: usize = confusion.iter().map(|row| row[label]).sum();
    let share = |whole: usize| if whole > 0 { right / whole as f64 } else { 0.0 };
    let f1 = if rows + found > 0 { 2.0 * right / (rows + found) as f64 } else { 0.0 };
    LabelEvaluation { label: text.to_owned(), rows, found, precision: share(found), recall: share(rows), f1 }
}

impl Evaluation {
    /// As a JSON object.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("plain data")
    }
}
