"""Judges a kosoku report: every case passes, but for those declared unimplemented.

Does not run the cases.   check.py INDEX_JSON UNIMPLEMENTED_TXT
"""

import fnmatch
import json
import sys

# How many cases each group of the suite has: a case that was not run is not a pass.
CASES = {
    "1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145,
    "7": 37, "9": 54, "10": 1, "12": 90, "13": 126,
}  # fmt: skip

# Cases that only tell what a peer does where RFC 6455 leaves it open.
INFORMATIONAL = {"7.1.6", "7.13.1", "7.13.2"}


def main(index_path, unimplemented_path):
    with open(index_path, encoding="utf-8") as file:
        index = json.load(file)
    with open(unimplemented_path, encoding="utf-8") as file:
        lines = (line.split("#")[0].strip() for line in file)
        patterns = [line for line in lines if line]

    if len(index) != 1:
        print(f"the report is of {len(index)} peers, not of one: {sorted(index)}")
        return 1
    cases = next(iter(index.values()))
    problems = missing_cases(cases)

    counts = {"OK": 0, "INFORMATIONAL": 0, "UNIMPLEMENTED": 0}
    better = []
    for case, result in sorted(cases.items(), key=by_number):
        behavior = result["behavior"]
        close = result["behaviorClose"]
        declared = any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)
        if behavior == "UNIMPLEMENTED" and declared:
            counts["UNIMPLEMENTED"] += 1
        elif case in INFORMATIONAL and behavior == close == "INFORMATIONAL":
            counts["INFORMATIONAL"] += 1
        elif case not in INFORMATIONAL and behavior == close == "OK":
            counts["OK"] += 1
            if declared:
                better.append(case)
        else:
            problems.append(f"case {case}: {behavior}, closing {close}")

    for problem in problems:
        print(f"  {problem}")
    if better:
        print(f"  declared unimplemented, but passing: {' '.join(better)}")
    print("  " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return 1 if problems else 0


def missing_cases(cases):
    run = dict.fromkeys(CASES, 0)
    for case in cases:
        group = case.split(".")[0]
        run[group] = run.get(group, 0) + 1
    return [
        f"group {group}: {run[group]} cases were run, not {CASES.get(group, 0)}"
        for group in run
        if run[group] != CASES.get(group, 0)
    ]


def by_number(item):
    return [int(part) for part in item[0].split(".")]


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
