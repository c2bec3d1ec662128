#!/usr/bin/env python3
"""Checks known entry ids with nothing but hashlib.  Usage: check_entry_id.py [FILE.jsonl]"""
import hashlib, json, pathlib, sys

path = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).with_name("entry_id.jsonl"))
rows, wrong = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()], 0
for number, row in enumerate(rows, 1):
    fields = [row[name].encode() for name in ("method", "messageTemplate", "topFrame")]
    found = hashlib.sha256(b"".join(len(f).to_bytes(8, "little") + f for f in fields)).hexdigest()[:32]
    if found != row["hash"]:
        wrong += 1
        print(f"{path.name}:{number}: {found}, but the file says {row['hash']}")
print(f"{len(rows)} entry ids checked, {wrong} wrong")
sys.exit(1 if wrong or not rows else 0)
