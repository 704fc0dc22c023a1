"""What happens on the page, without a browser."""

from types import SimpleNamespace

import pytest

from mmdataseg.apis.web.asking import Limits, Questions
from tests.apis.web.test_web import by_hand

gr = pytest.importorskip("gradio", reason='gradio is not installed: pip install "gradio>=6.31,<7"')

from mmdataseg.apis.web import page as pages  # noqa: E402


class Asked:
    """Questions that note what is asked, and answer with the same or an error."""

    def __init__(self, error=None):
        self.error, self.seen = error, []

    def ask(self, file, **question):
        self.seen.append((file, question))
        if self.error is not None:
            raise self.error
        return by_hand()


def page(tmp_path, error=None):
    asked = Asked(error)
    return pages.Page(asked, pages.Downloads(tmp_path)), asked


def test_the_fields_reach_the_question_and_the_answer_the_page(tmp_path):
    shown, asked = page(tmp_path)
    status, answers, choice, chosen, picture, table, text, png = shown.ask(
        "a.png", "dog", "sky", ["panoptic"], 0.4, None
    )
    assert asked.seen == [("a.png", dict(things="dog", stuff="sky", tasks=["panoptic"], min_score=0.4))]
    assert status.startswith('<p role="status">panoptic: 2 segments')
    assert (choice["value"], choice["visible"], chosen) == ("panoptic", False, 0)
    assert picture is answers.panels["panoptic"]
    assert [row[1] for row in table] == ["dog", "sky"]
    assert text["value"].endswith("a.json")
    assert png["value"].endswith("a_panoptic.png")


def test_tasks_are_asked_in_the_order_of_the_page(tmp_path):
    shown, asked = page(tmp_path)
    shown.ask("a.png", "", "", ["instance", "panoptic"], 0.3, None)
    assert asked.seen[0][1]["tasks"] == ["panoptic", "instance"]


def test_a_mistake_is_a_sentence_that_cannot_bring_html_in(tmp_path):
    shown, _ = page(tmp_path, pages.UserError("the word '<img src=x>' appears twice", remedy="give it once"))
    status, answers, *rest = shown.ask("a.png", "", "", [], 0.3, None)
    assert status == ('<p role="alert">The word &#x27;&lt;img src=x&gt;&#x27; appears twice; give it once</p>')
    assert answers is None
    assert rest[1:4] == [0, None, []]


def test_an_error_of_the_program_is_logged_and_not_shown(tmp_path, caplog):
    shown, _ = page(tmp_path, RuntimeError("/secret/path"))
    status, *_ = shown.ask("a.png", "", "", [], 0.3, None)
    assert status == '<p role="alert">Something went wrong inside the program. Its terminal shows what.</p>'
    assert "/secret/path" in caplog.text


def test_a_click_shows_a_segment_alone_and_the_next_click_on_it_all(tmp_path):
    shown, _ = page(tmp_path)
    answers = by_hand()
    click = SimpleNamespace(index=[1, 1])
    chosen, status, picture = shown.point(answers, "panoptic", 0, click)
    assert (chosen, picture is answers.panels["panoptic"]) == (1, False)
    assert "Segment 1: dog, score 0.75" in status
    chosen, status, picture = shown.point(answers, "panoptic", chosen, click)
    assert (chosen, picture is answers.panels["panoptic"]) == (0, True)
    chosen, status, picture = shown.point(answers, "panoptic", 1, SimpleNamespace(index=[11, 0]))
    assert (chosen, picture is answers.panels["panoptic"]) == (0, True)
    assert "There is no segment here." in status


def test_a_row_is_known_by_its_number_however_the_table_is_sorted(tmp_path):
    shown, _ = page(tmp_path)
    event = SimpleNamespace(index=[0, 3], row_value=["2", "sky", "stuff", "", "12", "0, 2, 6, 4"])
    assert shown.row(by_hand(), "panoptic", 0, event)[0] == 2


def test_clicks_before_there_is_an_answer_change_nothing(tmp_path):
    shown, _ = page(tmp_path)
    assert shown.point(None, None, 0, None) == (gr.skip(),) * 3
    assert shown.row(by_hand(), "semantic", 0, None) == (gr.skip(),) * 3
    assert shown.show(None, "panoptic") == (gr.skip(),) * 6


def test_few_downloads_are_kept(tmp_path):
    downloads = pages.Downloads(tmp_path)
    written = [downloads.write(by_hand(), "panoptic") for _ in range(pages.WAITING + 3)]
    assert len(list(tmp_path.iterdir())) == pages.WAITING
    assert {text.rpartition("/")[2] for text, _ in written} == {"a.json"}


def test_an_uploaded_file_is_handed_over_as_it_is():
    assert pages.path_of_upload(None) is None
    assert pages.path_of_upload(SimpleNamespace(path="/x/damaged.png")) == "/x/damaged.png"


def test_the_page_can_be_built_and_every_field_has_a_label(world, monkeypatch, tmp_path):
    from mmdataseg.apis.segmenter import Segmenter

    monkeypatch.chdir(world)
    questions = Questions(Segmenter("trained.pth", device="cpu"), limits=Limits())
    blocks = pages.build_page(questions, pages.Downloads(tmp_path))
    fields = [b for b in blocks.blocks.values() if isinstance(b, gr.components.FormComponent)]
    assert len(fields) > 3
    assert all(field.label for field in fields)
    questions.close()
