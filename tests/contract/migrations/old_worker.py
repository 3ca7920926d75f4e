"""A worker of version 05b2e4d as far as its database sees it: the statements that it sent, word for word."""

import json
import random
import time
from multiprocessing.connection import Connection

import psycopg2

CLAIM = "SELECT * FROM tuning_claim(%s, %s, %s, %s, %s)"
BEAT = "SELECT tuning_beat(%s, %s)"
WRITE = "SELECT tuning_write(%s, %s, %s)"
FINISH = "SELECT * FROM tuning_finish(%s, %s, %s, %s, %s)"
UNIT = '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0, "high": 1.0, "log": false}}'


def work(url: str, schema: str, study: int, worker: str, told: Connection) -> None:
    """Claim, write and finish trials until the round is over, and tell the numbers of those that ended."""
    connection = psycopg2.connect(url, options=f"-csearch_path={schema}")
    connection.autocommit = True
    chance, ended = random.Random(worker), []

    def call(statement: str, *parameters: object) -> tuple[object, ...]:
        with connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            [row] = cursor.fetchall()
        return tuple(row)

    while True:
        verdict, trial, number, *_ = call(CLAIM, study, worker, 3, "failure", False)
        if verdict == "Over":
            break
        if verdict == "Wait":
            time.sleep(0.02)
            continue
        call(BEAT, study, worker)
        params = {"params": [{"name": "x", "value": chance.random(), "distribution": UNIT}]}
        time.sleep(chance.uniform(0, 0.03))  # the objective
        assert call(WRITE, trial, worker, json.dumps(params)) == ("written",)
        values = {"values": [{"objective": 0, "value": float(str(number)), "kind": "FINITE"}]}
        state = chance.choice(["COMPLETE", "COMPLETE", "PRUNED", "FAIL"])
        changes = json.dumps(values if state == "COMPLETE" else {})
        outcome, _ = call(FINISH, trial, worker, state, changes, False)
        if outcome == "stored":
            ended.append(number)
        else:
            assert outcome == "put back", outcome
    connection.close()
    told.send(ended)
