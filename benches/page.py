#!/usr/bin/env python3
"""Measures bytes and time of the pages of `meno ui` against a store that it makes: imported runs, and simulated ones that are large.

    python3 benches/page.py MENO [--runs N] [--store DIR] [--rounds N] [--json FILE]

MENO is the program. A store in DIR is made once and used again. The table has the bytes of a page's HTML, the milliseconds until all of it
has arrived (the median and the highest of the rounds after the first), and on Linux what of its processor the server spent on one, which a
busy machine changes less; a page that misses a bar says NO. --save DIR keeps the pages.
"""

import argparse
import http.client
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

BYTES_MAX, MS_MAX, MS_MAX_OF_RUN = 200_000, 50, 100
WORDS = "parser release audit token budget failing type import review cache index journal agent answer prompt schema".split()


def sentence(dice, words):
    return " ".join(dice.choice(WORDS) for _ in range(words))


def history(dice, number, agents=1, chars=0):
    """Returns a line of `import runs`."""
    day, second = divmod(number * 37, 86_400)
    started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_700_000_000 + day * 86_400 + second))
    team = []
    for place in range(agents):
        output = sentence(dice, max(6, chars // 7))
        tried = {"tier": "cheap", "model": "model-a", "cost_usd": 0.001, "input_tokens": 900, "output_tokens": 90, "duration_ms": 900}
        attempts = [{**tried, "passed": True, "output": output}]
        if dice.random() < 0.2:
            attempts = [{**tried, "passed": False}, {**attempts[0], "tier": "capable", "model": "model-b", "cost_usd": 0.01}]
        team.append({"role": f"role {place}", "task": sentence(dice, 8), "attempts": attempts})
    template = dice.choice(["code_review", "release_prep", "security_audit"])
    return {"run_id": f"r-{number}", "template_id": template, "started_at": started, "agents": team, "labels": {"team": dice.choice("abc")}}


def template(name, agents):
    """Returns a template of so many agents, each with a criterion that a model judges."""
    judged = [{"name": "good", "type": "judge", "rubric": "Is it good?"}, {"name": "long enough", "type": "min_words", "value": 5}]
    rules = [
        {"role": f"agent {place}", "base_template": "generic", "tier_strategy": "progressive", "prompt": "Look at " + "x" * 400}
        | {"success_criteria": judged}
        for place in range(agents)
    ]
    form = {"title": "", "description": "", "questions": [{"id": "topic", "text": "What about?", "type": "text_input"}]}
    return {"template_id": name, "name": name, "description": "", "version": "1.0.0", "form_schema": form, "agent_composition_rules": rules}


class Store:
    def __init__(self, meno, place):
        self.meno, self.place = meno, place
        keep = {key: value for key, value in os.environ.items() if key in ("PATH", "LANG")}
        self.env = keep | {"HOME": str(place / "home"), "MENO_STORE": str(place / "store"), "XDG_CONFIG_HOME": str(place / "config")}

    def run(self, *args, ok=(0,)):
        done = subprocess.run([self.meno, *args], env=self.env, cwd=self.place / "work", capture_output=True, text=True)
        if done.returncode not in ok:
            sys.exit(f"meno {' '.join(args)}: {done.stderr}")
        return done.stdout

    def make(self, runs):
        for folder in ("home", "config/meno", "work", "store/templates"):
            (self.place / folder).mkdir(parents=True, exist_ok=True)
        (self.place / "config/meno/config.toml").write_text('preset = "simulated"\n[simulated]\ndelay_ms = 0\n')
        dice = random.Random(7)
        with open(self.place / "runs.jsonl", "w") as file:
            for number in range(runs):
                file.write(json.dumps(history(dice, number)) + "\n")
            # Many agents, each with a long output; two of them, so that they can be compared.
            for number in range(runs, runs + 2):
                file.write(json.dumps(history(dice, number, agents=300, chars=20_000)) + "\n")
        self.run("import", "runs", str(self.place / "runs.jsonl"))
        for agents in (100, 120, 500):
            (self.place / f"store/templates/large{agents}.json").write_text(json.dumps(template(f"large{agents}", agents)))
            for topic in ("the first topic", "the other topic") if agents < 500 else ("the first topic",):
                self.run("run", f"large{agents}", "--no-input", "--set", f"topic={topic}", "--json", ok=(0, 1, 2, 3, 4, 5))
        (self.place / "made").write_text(str(runs))

    def newest(self, template):
        listed = json.loads(self.run("list-runs", "--template", template, "--json"))
        return [run["run_id"] for run in listed["runs"]]


class Page:
    def __init__(self, store):
        args = [store.meno, "ui", "--json", "--no-open", "--port", "0"]
        self.process = subprocess.Popen(args, env=store.env, cwd=store.place / "work", stdout=subprocess.PIPE, text=True)
        url = json.loads(self.process.stdout.readline())["url"]
        self.host, token = re.match(r"http://([^/]+)/\?token=(.+)", url).groups()
        self.connection = http.client.HTTPConnection(self.host, timeout=600)
        self.cookie = ""
        self.cookie = self.get(f"/?token={token}")[2]["Set-Cookie"].split(";")[0]

    def spent(self):
        """Returns the milliseconds of processor that the server has had."""
        try:
            fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            return float("nan")
        return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")

    def get(self, path):
        begun = time.perf_counter()
        self.connection.request("GET", path, headers={"Cookie": self.cookie})
        answer = self.connection.getresponse()
        body = answer.read()
        return (time.perf_counter() - begun) * 1000, body, answer.headers, answer.status


def main():
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("meno"), words.add_argument("--runs", type=int, default=10_000)
    words.add_argument("--store", default="target/page-bench"), words.add_argument("--rounds", type=int, default=9)
    words.add_argument("--json"), words.add_argument("--save")
    asked = words.parse_args()
    store = Store(os.path.abspath(asked.meno), Path(asked.store).absolute())
    if not (store.place / "made").exists():
        store.make(asked.runs)
    middle, large, wide = store.newest("large100"), store.newest("large500")[0], store.newest("large120")
    listed = json.loads(store.run("list-runs", "--json", "--limit", "3"))["runs"]
    many = [run["run_id"] for run in json.loads(store.run("list-runs", "--mode", "imported", "--limit", "2", "--json"))["runs"]]
    page = Page(store)
    events = {run: json.loads(store.run("show-run", run, "--json"))["events"] for run in (middle[0], large)}
    pages = {
        "runs": "/",
        "runs, searched": "/?q=failed+release+audit",
        "runs of a model": "/?q=model:model-b",
        "needs you": "/needs",
        f"run of {events[middle[0]]} events": f"/runs/{middle[0]}",
        "… calls shown": f"/runs/{middle[0]}?calls=yes",
        "… an attempt": f"/runs/{middle[0]}?sel=a0.1",
        "… as it was": f"/runs/{middle[0]}?step=500",
        f"run of {events[large]} events": f"/runs/{large}",
        "… calls shown, last": f"/runs/{large}?calls=yes&part=9999",
        "run of 300 agents, 20 kB each": f"/runs/{many[0]}",
        "… an attempt of 300": f"/runs/{many[0]}?sel=a0.1",
        "small run": f"/runs/{listed[-1]['run_id']}",
        "events": f"/runs/{large}/events",
        "compare": "/compare",
        "compare two runs": f"/compare?a={wide[0]}&b={wide[1]}",
        "compare two of 300": f"/compare?a={many[0]}&b={many[1]}",
        "costs": "/costs", "costs by model, template, day": "/costs?by=day,model,template",
        "templates": "/templates", "template": "/templates/code_review?simulated=1", "large template": "/templates/large120?simulated=1",
        "new": "/new", "form": "/new/release_prep", "form, free text": "/new/large100",
        "memory": "/memory?q=audit+token", "like a run": f"/memory?like={middle[0]}",
        "store": "/store",
    }
    rows = []
    print(f"{'page':34} {'bytes':>9} {'ms p50':>8} {'ms max':>8} {'cpu ms':>7}  bars")
    try:
        for name, path in pages.items():
            page.get(path)
            spent = page.spent()
            asked_for = [page.get(path) for _ in range(asked.rounds)]
            spent = (page.spent() - spent) / asked.rounds
            took, body, status = [one[0] for one in asked_for], asked_for[-1][1], asked_for[-1][3]
            if asked.save:
                Path(asked.save).mkdir(parents=True, exist_ok=True)
                (Path(asked.save) / (re.sub(r"\W+", "-", name) + ".html")).write_bytes(body)
            most = MS_MAX_OF_RUN if "/runs/" in path else MS_MAX
            missed = [what for what, is_met in (("bytes", len(body) < BYTES_MAX), ("ms", statistics.median(took) < most)) if not is_met]
            rows.append({"page": name, "bytes": len(body), "ms": statistics.median(took), "cpu_ms": spent, "status": status})
            said = f"NO: {', '.join(missed)}" if missed else "yes"
            print(f"{name:34} {len(body):9,} {statistics.median(took):8.1f} {max(took):8.1f} {spent:7.0f}  {said}{'' if status == 200 else f' HTTP {status}'}")
    finally:
        page.process.terminate()
        page.process.wait()
    if asked.json:
        Path(asked.json).write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
