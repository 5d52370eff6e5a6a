"""The quizzes are seven, name cells that are there, and their computed answers are right."""

import math
import re
import tomllib

import pytest
import torch
from notebook_files import NOTEBOOKS, ROOT

from course import index, toy_ddpm

QUIZZES = tomllib.loads((ROOT / "teaching" / "quizzes.toml").read_text("utf-8"))["quiz"]
QUESTIONS = [question for quiz in QUIZZES for question in quiz["question"]]
CELLS = {path.stem[:2]: path.read_text("utf-8") for path in NOTEBOOKS}


def test_seven_quizzes_of_five_to_seven_questions():
    assert len(QUIZZES) == 7
    assert all(5 <= len(quiz["question"]) <= 7 for quiz in QUIZZES)
    assert all(question.keys() - {"code", "value"} == {"ask", "answer", "why", "cell"} for question in QUESTIONS)


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question["cell"])
def test_the_cell_is_in_a_notebook_that_the_quiz_names(question):
    number, cell = question["cell"].split()
    assert f'"id": "{cell}"' in CELLS[number]
    [quiz] = [quiz for quiz in QUIZZES if question in quiz["question"]]
    assert number in re.findall(r"\d\d", quiz["title"])
    assert number in {row.number for row in index.rows()}


@pytest.mark.parametrize(
    "question", [question for question in QUESTIONS if "code" in question], ids=lambda question: question["cell"]
)
def test_a_computed_answer_is_right(question):
    """What the code gives is the value, to the digits that are told, and the answer's text says that value."""
    found = torch.tensor(eval(question["code"], {"math": math, "torch": torch, "toy_ddpm": toy_ddpm})).double()
    wanted = question["value"] if isinstance(question["value"], list) else [question["value"]]
    torch.testing.assert_close(found.reshape(-1), torch.tensor(wanted).double(), atol=0.006, rtol=0)
    said = {float(number) for number in re.findall(r"\d+(?:\.\d+)?", question["answer"])}
    assert set(map(float, wanted)) <= said
