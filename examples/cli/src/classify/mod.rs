//! `qaio classify`: labels the texts of a file.

mod convert;
mod csv;
mod field;
mod format;
mod input;
mod jsonl;
mod labelling;
mod lines;
mod output;
mod parquet;
mod parquet_output;
mod progress;
mod results;
mod resume;
mod row;
mod run;
mod stdin;
mod summary;

pub use self::format::Format;
pub use self::input::{Input, Source};
pub use self::progress::Progress;
pub use self::resume::{refuse, unwritable};
pub use self::row::Row;

use self::results::Results;
use self::run::{Plan, Run};
use crate::args::Args;
use crate::failure::Failure;
use crate::interrupts::Interrupts;
use crate::{load, speaker, task};
use qaio::{ClassifyOptions, Error, ErrorKind, Task};
use serde_json::{Map, Number, Value};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  qaio classify reviews.csv --column review > labelled.csv
  qaio classify chats.jsonl --task intent --out intents.jsonl
  qaio classify notes.txt --out notes.csv
  qaio classify train.parquet --column text --prefix qaio_ --out labelled.parquet
  grep -h 退款 *.log | qaio classify - --task urgency.json --threshold 0.9
  qaio classify reviews.csv --out labelled.csv --json | jq .labels

Formats:
  .csv .tsv       with a header; a text with the separator or a line break stands in double quotes
  .jsonl .ndjson  a JSON object a line
  .parquet .pq    a column of strings
  .txt            a text a line

Output:
  Each row as it was, in the input's order, with four columns more: label, score (0 to 1), unsure (true or false), and
  error, which is empty unless the row could not be labelled. A bad row does not stop the others.

Resuming:
  With --out, rows are kept in OUT.part until all are there. After Ctrl-C, a crash or a power cut the same command goes
  on after the last row that was kept, if task, model, options and rows are still the same.";

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct ClassifyArgs {
    /// The file with the texts; - reads standard input
    pub file: PathBuf,

    /// The column, or field, with the text
    #[arg(long, value_name = "NAME", default_value = "text")]
    pub column: String,

    /// How to read the file, if its extension does not say it; standard input is read as lines otherwise
    #[arg(long, value_name = "NAME", value_enum)]
    pub format: Option<Format>,

    /// A task of `qaio task list`, or a task file
    #[arg(long, value_name = "NAME|FILE.json", default_value = "sentiment")]
    pub task: String,

    /// Where to write, as .csv, .tsv, .jsonl or .parquet [default: standard output, as CSV or JSONL]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Overwrite what is there
    #[arg(long, requires = "out")]
    pub force: bool,

    /// What to put before the names of the added columns
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    pub prefix: String,

    /// Add the probability of each label, in a column called as the label's id
    #[arg(long)]
    pub probabilities: bool,

    /// A score below this is unsure, 0 to 1 [default: the task's]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub threshold: Option<Number>,

    /// Cut the middle out of a text that is too long, instead of refusing it
    #[arg(long)]
    pub truncate: bool,

    /// Rows that are read, labelled and written together, 1 to 65536
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65536))]
    pub batch: u32,
}

pub fn run(args: &Args, own: &ClassifyArgs, interrupts: &Interrupts) -> Result<(), Failure> {
    let options = options(own.threshold.as_ref(), own.truncate)?;
    if args.json && own.out.is_none() {
        let message =
            "--json prints the summary on standard output, so the rows need a file of their own: add --out FILE";
        return Err(Error::new(ErrorKind::InvalidOption, message).into());
    }
    let definition = task::definition(&own.task)?;
    let results = Results::new(&definition, &own.prefix, own.probabilities)?;
    let mut source = Source::new(&own.file, own.format, vec![&own.column], true)?;
    let plan = Plan::new(&mut source, own.out.as_deref())?;
    let input = source.open()?;
    results.check(&input.name, input.columns.as_deref().unwrap_or_default())?;
    refuse(own.out.as_deref(), own.force)?;
    let model = load::model(&args.model, interrupts)?;
    let summary = interrupts.during(|cancel| {
        let task = Task::new(&model, definition, Some(cancel.clone()))?;
        let run = Run { source: &source, own, plan: &plan, model: &model, task: &task, options: &options, cancel };
        run.all(input, results)
    })?;
    match args.json {
        true => {
            let out = own.out.as_ref().map(|out| out.display().to_string());
            speaker::write(&format!("{}\n", summary.json(out.as_deref()))).map_err(Failure::Output)?;
        }
        false => summary.say(),
    }
    match summary.tally.all_failed() {
        true => Err(Failure::Message("every row failed; check --column and --format".to_owned())),
        false => Ok(()),
    }
}

/// As the library's options. The label mass is a part of what `unsure` means.
pub fn options(threshold: Option<&Number>, truncate: bool) -> Result<ClassifyOptions, Failure> {
    let mut options = Map::from_iter([("truncate".to_owned(), truncate.into())]);
    options.extend(threshold.map(|threshold| ("threshold".to_owned(), Value::Number(threshold.clone()))));
    Ok(ClassifyOptions::from_json(&Value::Object(options).to_string())?)
}
