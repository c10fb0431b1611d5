"""Classifies a column of a CSV file in one call: writes the file with two more columns, label and score.

python3 classify_csv.py TASK IN.csv COLUMN OUT.csv      TASK: sentiment, intent, language, or a task file (see urgency.json)
"""

import csv
import sys

import qaio


def main(task: str, source: str, column: str, target: str) -> int:
    with open(source, encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows, names = list(reader), list(reader.fieldnames or [])
    if column not in names:
        sys.exit(f"classify_csv: {source} has no column {column!r}; there are {', '.join(names)}")
    batch = qaio.load().task(task).classify_batch([row[column] or "" for row in rows], progress=True, truncate=True)
    with open(target, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*names, "label", "score"])
        writer.writeheader()
        for row, found, probabilities in zip(rows, batch.labels, batch.probabilities):
            score = f"{max(probabilities):.4f}" if found else ""
            writer.writerow({**row, "label": found or "", "score": score})
    for number, error in batch.errors.items():
        print(f"row {number + 1}: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    try:
        sys.exit(main(*sys.argv[1:]))
    except (qaio.QaioError, OSError) as error:
        sys.exit(f"classify_csv: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
