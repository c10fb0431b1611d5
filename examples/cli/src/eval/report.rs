//! An evaluation for people.

use qaio::{Evaluation, TaskDefinition};
use unicode_width::UnicodeWidthStr;

/// Figures, then those of each label, then who was taken for whom.
pub fn text(evaluation: &Evaluation, task: &TaskDefinition) -> String {
    let Evaluation { rows, failed, unlabelled, .. } = evaluation;
    let figure = |value: f64| format!("{value:.4}");
    let figures = [
        ("task", task.name.clone()),
        ("rows", format!("{rows} ({failed} failed, {unlabelled} without a label)")),
        ("accuracy", figure(evaluation.accuracy)),
        ("macro-F1", figure(evaluation.macro_f1)),
        ("calibration error", figure(evaluation.calibration_error)),
        ("Brier score", figure(evaluation.brier)),
        ("log loss", figure(evaluation.log_loss)),
        ("coverage", format!("{:.4} of the rows have a score from {} on", evaluation.coverage, evaluation.threshold)),
        ("accuracy of these", figure(evaluation.sure_accuracy)),
    ];
    let figures = table(figures.map(|(name, value)| vec![name.to_owned(), value]).into(), Align::Left);
    let head = ["label", "rows", "found", "precision", "recall", "F1"].map(str::to_owned).to_vec();
    let labels = evaluation.labels.iter().map(|label| {
        let (rows, found) = (label.rows.to_string(), label.found.to_string());
        vec![label.label.clone(), rows, found, figure(label.precision), figure(label.recall), figure(label.f1)]
    });
    let labels = table([head].into_iter().chain(labels).collect(), Align::Right);
    let names = evaluation.labels.iter().map(|label| label.label.clone());
    let head = ["true \\ found".to_owned()].into_iter().chain(names.clone()).collect();
    let counts = evaluation
        .confusion
        .iter()
        .zip(names)
        .map(|(counts, name)| [name].into_iter().chain(counts.iter().map(usize::to_string)).collect());
    let confusion = table([head].into_iter().chain(counts).collect(), Align::Right);
    format!("{figures}\n{labels}\n{confusion}")
}

/// On which side all columns but the first stand.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// Columns of the width that they have on a terminal, where a Chinese character takes two places.
fn table(rows: Vec<Vec<String>>, align: Align) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            let space = " ".repeat(width - cell.width());
            if column > 0 && align == Align::Right { space + cell } else { cell.clone() + &space }
        });
        text += cells.collect::<Vec<_>>().join("  ").trim_end();
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wide_characters_take_two_places() {
        let rows = [["标签", "正面"], ["a", "7"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(rows.into(), Align::Right), "标签  正面\na        7\n");
    }
}
