"""Runs the subjects, then writes the results: JSON with every row, a page, and pictures."""

import argparse
import datetime
import json
import pathlib
import platform
import subprocess
import tempfile

import report
import subjects


def arguments():
    parser = argparse.ArgumentParser(prog="perf/run", description=__doc__)
    parser.add_argument("--only", default=",".join(subjects.SUBJECTS), help="subjects, separated by commas")
    parser.add_argument("--quick", action="store_true", help="short runs and fewer of them")
    parser.add_argument("--name", default=datetime.date.today().isoformat(), help="the name of the results")
    parser.add_argument("--seconds", type=int, help="of each pgbench run (default 10; quick 3)")
    parser.add_argument("--turns", type=int, help="A B A B: how often each server has its turn (default 3; quick 1)")
    parser.add_argument("--clients", help="numbers of connections for select-only")
    parser.add_argument("--binary", default="target/release/nodedb")
    parser.add_argument("--login-driver", default="target/release/login-driver")
    parser.add_argument("--select-driver", default="target/release/select-driver")
    parser.add_argument("--idle-connections", type=int, default=5000)
    parser.add_argument("--crowd", type=int, default=10_000, help="sessions of the user that is dropped")
    parser.add_argument("--directory", help="where the servers keep their data (default: the system's)")
    options = parser.parse_args()
    options.seconds = options.seconds or (3 if options.quick else 10)
    options.turns = options.turns or (1 if options.quick else 3)
    default_clients = "1,32" if options.quick else "1,32,256,1000,5000"
    options.clients = [int(n) for n in (options.clients or default_clients).split(",")]
    options.binary = str(pathlib.Path(options.binary).resolve())
    options.login_driver = str(pathlib.Path(options.login_driver).resolve())
    options.select_driver = str(pathlib.Path(options.select_driver).resolve())
    return options


def machine(where):
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    version = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {
        "cpu": cpu,
        "cores": len(__import__("os").sched_getaffinity(0)),
        "kernel": platform.release(),
        "commit": version,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "fdatasync_ms": subjects.fdatasync_ms(where),
    }


def main():
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="perf-", dir=options.directory, ignore_cleanup_errors=True) as where:
        where = pathlib.Path(where)
        where.chmod(0o755)
        bench = subjects.Bench(options, where)
        facts = machine(where)
        for name in options.only.split(","):
            subjects.say(f"== {name}")
            subjects.SUBJECTS[name](bench)
        facts["command"] = f"perf/run --only {options.only} --seconds {options.seconds} --turns {options.turns}"
    results = pathlib.Path("perf/results")
    results.mkdir(parents=True, exist_ok=True)
    (results / f"{options.name}.json").write_text(json.dumps({"machine": facts, "rows": bench.rows}, indent=1) + "\n")
    page = report.write(results, options.name, facts, bench.rows)
    subjects.say(f"written: {page}")


if __name__ == "__main__":
    main()
