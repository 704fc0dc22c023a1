"""The web page: its layout and its event handlers."""

import html
import logging
import shutil
import tempfile
from collections import deque
from pathlib import Path
from typing import Any

import gradio as gr

from mmdataseg.apis.web.answers import COLUMNS, Answers
from mmdataseg.apis.web.asking import Questions
from mmdataseg.errors import UserError
from mmdataseg.structures import Task

FORGET = 3600  # seconds until the images and answers of a visitor are deleted
WAITING = 16  # most requests that wait, and most answers whose downloads are kept
CSS = """
.gradio-container {max-width: 1500px !important}
#status [role] {margin: 0; padding: .6em .9em; border-radius: 6px; border-left: 5px solid #2563eb;
                background: var(--background-fill-secondary); color: var(--body-text-color)}
#status [role=alert] {border-left-color: #dc2626}
"""
_TASKS = tuple(task.value for task in Task)
logger = logging.getLogger(__name__)


class Downloads:
    """Files to download. The page copies each file into its own cache, so old ones are deleted here."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept: deque[Path] = deque()

    def write(self, answers: Answers, task: str) -> tuple[str, str]:
        """Write the JSON of all answers and the picture of one task, and return the paths of both."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        self._kept.append(folder)
        while len(self._kept) > WAITING:
            shutil.rmtree(self._kept.popleft(), ignore_errors=True)
        stem = Path(answers.record["image"]).stem
        text, png = folder / f"{stem}.json", folder / f"{stem}_{task}.png"
        text.write_text(answers.to_json(), encoding="utf-8")
        png.write_bytes(answers.pngs[task])
        return str(text), str(png)


class Page:
    """The event handlers of the page. Each visitor has separate answers."""

    def __init__(self, questions: Questions, downloads: Downloads) -> None:
        self._questions = questions
        self._downloads = downloads

    def ask(
        self, file: str | None, things: str, stuff: str, tasks: list[str], min_score: float, shown: str | None
    ) -> tuple[Any, ...]:
        """Segment the image and show one task: the task shown before, if it is among the answers.

        Returns:
            Values for the status, the answers, the choice of the task shown, and those of `show`.
        """
        tasks = sorted(tasks, key=_TASKS.index)  # in the order of the page, not of the clicks
        try:
            answers = self._questions.ask(file, things=things, stuff=stuff, tasks=tasks, min_score=min_score)
        except UserError as error:
            return _alert(str(error)), *_EMPTY
        except Exception:
            logger.exception("no answer about %s", file)
            return _alert("Something went wrong inside the program. Its terminal shows what."), *_EMPTY
        task = shown if shown in answers.tasks else answers.tasks[0]
        choice = gr.update(choices=list(answers.tasks), value=task, visible=len(answers.tasks) > 1)
        status, *rest = self.show(answers, task)
        return status, answers, choice, *rest

    def show(self, answers: Answers | None, task: str | None) -> tuple[Any, ...]:
        """Show another task of the same answers.

        Returns:
            Values for the status, the chosen segment, the picture, the table and the two downloads.
        """
        if answers is None or task not in answers.tasks:
            return (gr.skip(),) * 6
        text, png = self._downloads.write(answers, task)
        files = gr.update(value=text, interactive=True), gr.update(value=png, interactive=True)
        return _status(answers.summary(task)), 0, answers.picture(task), answers.table(task), *files

    def point(
        self, answers: Answers | None, task: str | None, chosen: int, event: gr.SelectData
    ) -> tuple[Any, Any, Any]:
        """Show only the clicked segment. If it was already the only one, show all again.

        Returns:
            Values for the chosen segment, the status and the picture.
        """
        if answers is None or task not in answers.tasks:
            return (gr.skip(),) * 3
        return _chosen(answers, task, answers.at(task, *event.index), chosen)

    def row(self, answers: Answers | None, task: str | None, chosen: int, event: gr.SelectData) -> tuple[Any, Any, Any]:
        """Show only the segment of the chosen row. If it was already the only one, show all again.

        Returns:
            Values for the chosen segment, the status and the picture.
        """
        if answers is None or task not in answers.tasks or not event.row_value:
            return (gr.skip(),) * 3
        return _chosen(answers, task, int(event.row_value[0]), chosen)


def build_page(questions: Questions, downloads: Downloads) -> gr.Blocks:
    """Build the page."""
    page, source = Page(questions, downloads), questions.segmenter.source
    with gr.Blocks(title="mmdataseg", analytics_enabled=False, delete_cache=(FORGET // 6, FORGET)) as blocks:
        gr.Markdown(f"# mmdataseg\nSegment an image with `{Path(questions.segmenter.checkpoint.origin).name}`.")
        answers, chosen = gr.State(time_to_live=FORGET), gr.State(0)
        with gr.Row():
            with gr.Column(scale=2, min_width=320):
                image = gr.Image(label="Image", sources=["upload", "clipboard"], height=300, elem_id="image")
                image.preprocess = path_of_upload
                tasks = gr.CheckboxGroup(list(_TASKS), value=[source.task.value], label="Tasks", elem_id="tasks")
                things = gr.Textbox(
                    label="Things: words for countable objects",
                    placeholder="red car, dog, sofa/couch",
                    info="Commas separate words. A slash joins synonyms.",
                    elem_id="things",
                    lines=2,
                )
                stuff = gr.Textbox(
                    label="Stuff: words for everything else", placeholder="road, sky", elem_id="stuff", lines=1
                )
                with gr.Accordion(
                    f"Without words: the {len(source.label_space)} classes of '{source.name}'", open=False
                ):
                    gr.Markdown(_listed(source.label_space.thing_classes, source.label_space.stuff_classes))
                min_score = gr.Slider(0, 1, 0.3, step=0.05, label="Minimum score of an instance", elem_id="score")
                button = gr.Button("Segment", variant="primary", elem_id="segment")
            with gr.Column(scale=3, min_width=320):
                status = gr.HTML(_status("Drop an image. The answer appears here."), elem_id="status")
                shown = gr.Radio([], label="Task shown", visible=False, elem_id="shown")
                picture = gr.Image(
                    show_label=False,
                    alt_text="The image with its segments",
                    height=480,
                    format="png",
                    interactive=False,
                    buttons=["fullscreen"],
                    elem_id="picture",
                )
                table = gr.Dataframe(
                    headers=list(COLUMNS),
                    datatype=["number", "str", "str", "str", "number", "str"],
                    column_count=len(COLUMNS),
                    type="array",
                    interactive=False,
                    label="Segments: choose a row to see its segment",
                    max_height=320,
                    elem_id="table",
                )
                with gr.Row():
                    text = gr.DownloadButton("Download JSON", interactive=False, elem_id="json")
                    png = gr.DownloadButton("Download PNG", interactive=False, elem_id="png")
        views = [chosen, picture, table, text, png]
        gr.on(
            [button.click, image.upload, things.submit, stuff.submit],
            page.ask,
            [image, things, stuff, tasks, min_score, shown],
            [status, answers, shown, *views],
            concurrency_limit=WAITING,
            show_progress_on=picture,
            api_visibility="private",
        )
        shown.input(page.show, [answers, shown], [status, *views], api_visibility="private")
        picture.select(page.point, [answers, shown, chosen], [chosen, status, picture], api_visibility="private")
        table.select(page.row, [answers, shown, chosen], [chosen, status, picture], api_visibility="private")
    return blocks.queue(max_size=WAITING)


def path_of_upload(payload: Any) -> str | None:
    """Return the path of the uploaded file, if any. gr.Image would decode it, without limits and without a message."""
    return None if payload is None else payload.path


def theme() -> gr.themes.Base:
    """Return a theme with system fonts, so that nothing is downloaded, and colors with a contrast of at least 4.5."""
    return gr.themes.Default(primary_hue="blue", font=["system-ui", "sans-serif"], font_mono=["system-ui"]).set(
        button_primary_background_fill="*primary_700",
        button_primary_background_fill_hover="*primary_800",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        input_placeholder_color="*neutral_500",
    )


def _listed(things: tuple[str, ...], stuff: tuple[str, ...]) -> str:
    groups = [("Things", things), ("Stuff", stuff)]
    return "\n\n".join(f"**{name}:** {html.escape(', '.join(words))}" for name, words in groups if words)


def _chosen(answers: Answers, task: str, number: int, before: int) -> tuple[Any, Any, Any]:
    if number in (0, before):
        text = answers.summary(task) if number else "There is no segment here."
        return 0, _status(text), answers.picture(task)
    text = f"{answers.describe(task, number)} Click it again to see all segments."
    return number, _status(text), answers.picture(task, number)


def _status(text: str) -> str:
    return f'<p role="status">{html.escape(text)}</p>'


def _alert(text: str) -> str:
    return f'<p role="alert">{html.escape(text[:1].upper() + text[1:])}</p>'


# without an answer: values for answers, task shown, chosen segment, picture, table and downloads
_EMPTY = (
    *(None, gr.update(choices=[], value=None, visible=False), 0, None, []),
    *(gr.update(value=None, interactive=False), gr.update(value=None, interactive=False)),
)
