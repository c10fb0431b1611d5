//! Fits a task's bias and temperature to a few texts whose labels are known.
//!
//! Multinomial logistic regression on the logarithmic probabilities: `softmax(slope · ln p + bias)`, with a normal prior
//! of variance 1 around "no change" for each of the numbers, so that few rows change little. The loss is convex; Newton's
//! method finds its minimum. (Platt 1999 and Guo et al. 2017 fit the two parts alone.)

use super::batch::Batch;
use super::classifier::softmax;
use super::definition::{Calibration, TaskDefinition};
use crate::error::Result;

/// Newton steps; the loss is smooth, so a handful is enough.
const STEPS: usize = 50;
/// The fitted slope stays within these, so that the temperature stays positive.
const SLOPES: [f64; 2] = [0.05, 20.0];

impl Batch {
    /// The task that made this batch, with a bias and a temperature that fit the true labels (by number; `None`
    /// where it is not known).
    ///
    /// # Errors
    /// As [`evaluate`](Batch::evaluate).
    pub fn fit(&self, truth: &[Option<usize>]) -> Result<TaskDefinition> {
        let definition = &*self.definition;
        let rows: Vec<_> = self
            .known(truth)?
            .into_iter()
            .map(|(row, truth)| (row.probabilities.iter().map(|p| p.max(1e-30).ln()).collect(), truth))
            .collect();
        let (slope, bias) = minimum(&rows, definition.labels.len());
        let old = &definition.calibration;
        // What was there is a part of the probabilities already.
        let mut total: Vec<f64> = definition.biases().iter().zip(&bias).map(|(old, new)| slope * old + new).collect();
        let mean = total.iter().sum::<f64>() / total.len() as f64;
        total.iter_mut().for_each(|bias| *bias = (*bias - mean).clamp(-100.0, 100.0));
        let calibration = Calibration {
            content_free: old.content_free.clone(),
            bias: definition.labels.iter().map(|label| label.id.clone()).zip(total).collect(),
            temperature: (old.temperature / slope).clamp(0.01, 100.0),
        };
        Ok(TaskDefinition { calibration, ..definition.clone() })
    }
}

/// Slope and biases of the least loss over `rows` of logarithmic probabilities and true label.
fn minimum(rows: &[(Vec<f64>, usize)], labels: usize) -> (f64, Vec<f64>) {
    // The slope, then the biases.
    let mut at: Vec<f64> = std::iter::once(1.0).chain(std::iter::repeat_n(0.0, labels)).collect();
    let mut loss = loss_at(rows, &at);
    for _ in 0..STEPS {
        let (gradient, hessian) = derivatives(rows, &at);
        let step = solve(hessian, gradient);
        let mut length = 1.0;
        loop {
            let mut next: Vec<f64> = at.iter().zip(&step).map(|(at, step)| at - length * step).collect();
            next[0] = next[0].clamp(SLOPES[0], SLOPES[1]);
            let next_loss = loss_at(rows, &next);
            if next_loss < loss {
                (at, loss) = (next, next_loss);
                break;
            }
            length /= 2.0;
            if length < 1e-9 {
                return (at[0], at.split_off(1));
            }
        }
    }
    (at[0], at.split_off(1))
}

fn probabilities(log_p: &[f64], at: &[f64]) -> Vec<f64> {
    softmax(log_p.iter().zip(&at[1..]).map(|(log_p, bias)| at[0] * log_p + bias).collect())
}

fn loss_at(rows: &[(Vec<f64>, usize)], at: &[f64]) -> f64 {
    let prior = 0.5 * ((at[0] - 1.0).powi(2) + at[1..].iter().map(|bias| bias * bias).sum::<f64>());
    let data = rows.iter().map(|(log_p, truth)| -probabilities(log_p, at)[*truth].max(f64::MIN_POSITIVE).ln());
    prior + data.sum::<f64>()
}

/// Gradient and Hessian of the loss.
fn derivatives(rows: &[(Vec<f64>, usize)], at: &[f64]) -> (Vec<f64>, Vec<Vec<f64>>) {
    let n = at.len();
    let mut gradient: Vec<f64> = at.to_vec();
    gradient[0] -= 1.0;
    let mut hessian = vec![vec![0.0; n]; n];
    (0..n).for_each(|i| hessian[i][i] = 1.0);
    for (log_p, truth) in rows {
        let p = probabilities(log_p, at);
        // How the logit of each label changes with the slope is log_p; with its own bias, 1.
        let mean: f64 = p.iter().zip(log_p).map(|(p, x)| p * x).sum();
        gradient[0] += mean - log_p[*truth];
        hessian[0][0] += p.iter().zip(log_p).map(|(p, x)| p * (x - mean).powi(2)).sum::<f64>();
        for i in 0..p.len() {
            gradient[1 + i] += p[i] - f64::from(u8::from(i == *truth));
            let cross = p[i] * (log_p[i] - mean);
            hessian[0][1 + i] += cross;
            hessian[1 + i][0] += cross;
            for j in 0..p.len() {
                hessian[1 + i][1 + j] += p[i] * (f64::from(u8::from(i == j)) - p[j]);
            }
        }
    }
    (gradient, hessian)
}

/// Solves `matrix · x = right` for a positive definite matrix, by Gaussian elimination.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for column in 0..n {
        let (above, below) = matrix.split_at_mut(column + 1);
        let pivot = &above[column];
        for (row, values) in below.iter_mut().enumerate() {
            let factor = values[column] / pivot[column];
            values.iter_mut().zip(pivot).skip(column).for_each(|(value, pivot)| *value -= factor * pivot);
            right[column + 1 + row] -= factor * right[column];
        }
    }
    for row in (0..n).rev() {
        let known: f64 = (row + 1..n).map(|k| matrix[row][k] * right[k]).sum();
        right[row] = (right[row] - known) / matrix[row][row];
    }
    right
}
