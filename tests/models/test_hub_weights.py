import json
import socket

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save

from models import hub_weights
from models.encoders import HUB, create_encoder, encoder_card, fetch_weights, hub_files
from models.errors import ModelError
from tests.models.stand_in_hub import StandInHub, running

SMP, TIMM = "mobileone_s0", "tu-test_resnet"
SMP_REPOSITORY, TIMM_REPOSITORY = "smp-hub/mobileone_s0.imagenet", "timm/test_resnet.r160_in1k"
MEAN, STD = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]


@pytest.fixture(scope="module")
def published():
    """Weights as the two libraries publish them: smp's with a configuration, timm's with a classifier."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        theirs = create_encoder(SMP, "none").backbone
        for parameter in theirs.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        import timm  # only now: making an encoder is what lets torchvision be imported everywhere

        whole = timm.create_model("test_resnet")
    settings = {"mean": MEAN, "std": STD, "input_space": "RGB", "input_range": [0, 1]}
    return {
        f"{SMP_REPOSITORY}/config.json": json.dumps(settings).encode(),
        f"{SMP_REPOSITORY}/model.safetensors": save({k: v.contiguous() for k, v in theirs.state_dict().items()}),
        f"{TIMM_REPOSITORY}/model.safetensors": save(whole.state_dict()),
    }


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


@pytest.fixture
def point_at(monkeypatch, cache):
    def point(address):
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
        )

    return point


@pytest.fixture
def hub(published, point_at):
    with running(StandInHub(published)) as one:
        point_at(one.address)
        yield one


def test_an_smp_encoder_takes_the_hubs_weights_and_the_scaling_beside_them(hub, published):
    encoder = create_encoder(SMP, HUB)
    loaded = encoder.backbone.state_dict()
    assert (
        save({key: value.contiguous() for key, value in loaded.items()})
        == published[f"{SMP_REPOSITORY}/model.safetensors"]
    )
    assert list(encoder.card.mean) == MEAN
    assert list(encoder.card.std) == STD
    assert encoder.identity != create_encoder(SMP, "none").identity


def test_a_timm_encoder_takes_the_hubs_weights_without_their_classifier(hub):
    encoder = create_encoder(TIMM, HUB)
    stages = encoder(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))
    assert [stage.shape[1] for stage in stages] == list(encoder.card.channels)
    assert not any("fc" in key for key in encoder.backbone.state_dict())


@pytest.mark.parametrize(("name", "repository"), [(SMP, SMP_REPOSITORY), (TIMM, TIMM_REPOSITORY)])
def test_what_was_fetched_is_used_again_without_asking_anybody(hub, point_at, name, repository):
    first = create_encoder(name, HUB)
    asked = list(hub.asked)
    hub.closing.set()
    point_at("http://127.0.0.1:9")  # nobody listens there
    assert create_encoder(name, HUB).identity == first.identity
    assert hub.asked == asked
    assert hub.fetched(f"{repository}/model.safetensors") == 1


def test_the_bytes_that_come_are_told_up_to_the_size_of_the_file(hub, published):
    told = []
    fetch_weights(SMP, lambda come, total: told.append((come, total)))
    size = len(published[f"{SMP_REPOSITORY}/model.safetensors"])
    assert told[-1] == (size, size)
    assert len(told) > 1
    assert [come for come, _ in told] == sorted({come for come, _ in told})


def test_a_card_tells_the_size_before_anything_is_fetched_to_within_a_tenth(hub, published):
    size = len(published[f"{SMP_REPOSITORY}/model.safetensors"])
    assert encoder_card(SMP).weights_bytes == pytest.approx(size, rel=0.1)
    assert hub.asked == []


def test_a_download_that_is_stopped_leaves_nothing_behind_and_the_next_one_is_whole(hub, cache):
    class EnoughError(Exception):
        pass

    def stop(come, total):
        raise EnoughError

    with pytest.raises(EnoughError):
        fetch_weights(TIMM, stop)
    assert hub_files(TIMM).missing() == [hub_weights.WEIGHTS]
    assert not list(cache.rglob("*.incomplete"))
    fetch_weights(TIMM)
    assert hub_files(TIMM).missing() == []


def test_a_transfer_that_breaks_off_leaves_nothing_half_written(published, point_at, cache, monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # between the client's own tries
    with running(StandInHub(published, stops_after=1000, breaks_off=True)) as hub:
        point_at(hub.address)
        with pytest.raises(ModelError, match=r"could not be fetched from the hub: .*; check the network"):
            fetch_weights(TIMM)
    assert hub_files(TIMM).missing() == [hub_weights.WEIGHTS]
    assert not list(cache.rglob("*.incomplete"))


def test_weights_that_the_hub_lacks_are_told_as_such(point_at):
    with running(StandInHub({})) as hub:
        point_at(hub.address)
        with pytest.raises(ModelError, match=f"127.0.0.1.*{TIMM_REPOSITORY} does not offer them as safetensors"):
            fetch_weights(TIMM)


def test_a_hub_that_nobody_answers_for_is_told_at_once_with_what_to_do_instead(point_at):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, and never listened on
        point_at(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        with pytest.raises(
            ModelError, match=r"cannot be reached; .*\.safetensors file of your own.*efficientnet-lite0"
        ):
            create_encoder(SMP, HUB)


def test_a_hub_that_takes_the_call_and_says_nothing_is_given_up_after_one_try(published, point_at, monkeypatch):
    monkeypatch.setattr(hub_weights, "REACH_SECONDS", 0.3)
    with running(StandInHub(published, silent=True)) as hub:
        point_at(hub.address)
        with pytest.raises(ModelError, match="did not answer in time"):
            fetch_weights(TIMM)


def test_without_leave_to_ask_the_network_that_is_the_reason(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        fetch_weights(TIMM)
    assert hub.asked == []


def test_a_file_of_the_hub_that_was_carried_here_by_hand_is_taken_like_one_that_was_fetched(hub, published, tmp_path):
    path = tmp_path / "carried.safetensors"
    path.write_bytes(published[f"{TIMM_REPOSITORY}/model.safetensors"])
    assert create_encoder(TIMM, path).identity == create_encoder(TIMM, HUB).identity


def test_weights_of_another_encoder_on_the_hub_do_not_fit(published, point_at):
    wrong = {f"{TIMM_REPOSITORY}/model.safetensors": published[f"{SMP_REPOSITORY}/model.safetensors"]}
    with running(StandInHub(wrong)) as hub:
        point_at(hub.address)
        with pytest.raises(ModelError, match="do not fit the encoder tu-test_resnet"):
            create_encoder(TIMM, HUB)


def test_an_encoder_whose_weights_are_offered_as_a_pickle_alone_has_no_source():
    assert encoder_card("tu-legacy_seresnet18").weights_sources == ()
    with pytest.raises(ModelError, match=r"not on the hub as safetensors; set weights to a \.safetensors file"):
        fetch_weights("tu-legacy_seresnet18")
