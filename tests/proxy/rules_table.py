#!/usr/bin/env python3
"""Checks that the table of caching rules in docs/caching.md names tests that exist, and every test of a rule.

Usage: tests/proxy/rules_table.py [FILE]      (FILE: docs/caching.md)

Each line of the table is a rule with the RFC section that it is from, and the test cases that hold it, with " · "
between them: their names, or the beginning of them ("..." stands for anything). A file in parentheses behind one says
where it is; otherwise it is in the file of the headline, and where that names a folder, in it. A case of
tests/proxy/rules/ that no line names is an error too: the table would no longer be whole.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def test_cases():
    """Every test case below tests/proxy: {path: [name, ...]}."""
    cases = {}
    for path in sorted((ROOT / "tests/proxy").rglob("*.cpp")):
        text = path.read_text(encoding="utf-8")
        found = []
        for match in re.finditer(r'TEST_CASE(?:_\w+)?\(\s*(?:\w+,\s*)?((?:"(?:[^"\\]|\\.)*"\s*)+)[,)]', text):
            pieces = re.findall(r'"((?:[^"\\]|\\.)*)"', match.group(1))
            found.append(re.sub(r"\\(.)", r"\1", "".join(pieces)))
        cases[str(path.relative_to(ROOT))] = found
    return cases


def table_lines(text):
    """(headline, rule, cell) of each line of the tables."""
    section = text.split("## Rules and their tests", 1)[1].split("\n## ", 1)[0]
    headline = ""
    for line in section.splitlines():
        if line.startswith("### "):
            headline = line
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
        if line.startswith("|") and len(cells) == 2 and cells[0] != "rule" and not set(cells[0]) <= set("-"):
            yield headline, cells[0], cells[1]


def matches(pattern, name):
    parts = [re.escape(part) for part in pattern.split("...")]
    return re.match(".*".join(parts), name) is not None


def main():
    document = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs/caching.md"
    cases = test_cases()
    errors, named, rules, last = [], set(), 0, []
    for headline, rule, cell in table_lines(document.read_text(encoding="utf-8")):
        rules += 1
        if not re.search(r"\d{4}(, \d{4})? §|§|mode|Vary|reloads|reason", rule):
            errors.append(f"no source: {rule}")
        if cell == "the same":
            cell = last
        last = cell
        of_cell = re.findall(r"\(`([^`]+\.cpp)`\)", cell)
        for pattern in cell.split(" · "):
            files = re.findall(r"\(`([^`]+\.cpp)`\)", pattern)
            wanted = re.sub(r"\s*\(`[^`]+`\)", "", pattern).strip()
            places = files or re.findall(r"`([^`]+)`", headline) + of_cell
            hits = [(path, name) for path, names in cases.items() for name in names
                    if any(place in path for place in places) and matches(wanted, name)]
            if not hits:
                elsewhere = [path for path, names in cases.items() for name in names if matches(wanted, name)]
                errors.append(f"no such case: {wanted!r} in {', '.join(places)} (of: {rule})"
                              + (f"; it is in {', '.join(elsewhere)}" if elsewhere else ""))
            named.update(hits)
    for path, names in cases.items():
        if path.startswith("tests/proxy/rules/"):
            errors += [f"no line names {name!r} of {path}" for name in names if (path, name) not in named]
    for error in errors:
        print(error)
    print(f"{rules} rules, {len(named)} test cases, {len(errors)} errors")
    return 1 if errors or rules == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
