"""A trained model on a GPU, or on the stand-in of `tests.fake_cuda`, from its checkpoint to the forms of a result."""

from mmdataseg.apis.segmenter import Segmenter


def test_all_tasks_in_own_words_and_in_those_of_the_source(device, world, monkeypatch):
    monkeypatch.chdir(world)
    segmenter = Segmenter("trained.pth", device=device)
    assert next(segmenter.model.parameters()).is_cuda
    images = sorted((world / "data/toy/toy_open/val").iterdir())
    own = segmenter.vocabulary(things=["red disc", "blue square"], stuff=["grass"])
    for result in segmenter(
        images, vocabularies=[own, segmenter.vocabulary()], tasks=["panoptic", "semantic", "instance"], batch_size=2
    ):
        assert result.to_json()["answers"]
        assert result.sheet().any()
        assert not any(
            answer.sample.get("pred_sem_seg", answer.sample.pred_panoptic_seg).sem_seg.is_cuda
            for answer in result.answers.values()
        )
