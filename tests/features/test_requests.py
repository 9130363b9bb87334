import pytest

from foresight.config import TrialConfig
from foresight.features.keys import dinov2_entry, images_entry, ltx_entry, vlm_entry
from foresight.features.requests import Request, discard_corrupt, missing_requests, needed_entries
from foresight.features.store import ArrayStore
from search_spaces import c2_ltx, p2_ablations

BASE = TrialConfig()
ARMS = [arm.config for arm in p2_ablations.space("tiny").arms()]


@pytest.fixture
def store(tmp_path) -> ArrayStore:
    return ArrayStore(tmp_path)


def keys_of(config: TrialConfig) -> dict[str, str]:
    return {
        "images": images_entry(config.data)[0],
        "vlm": vlm_entry(config.data, config.vlm)[0],
        "dinov2": dinov2_entry(config.data, config.dinov2)[0],
    }


def publish(store: ArrayStore, *keys: str) -> None:
    for key in keys:
        with store.writer(key, {}) as create:
            create("tokens", (1,), "u1")[...] = 1


def listed(stages: list[list[Request]]) -> list[list[str]]:
    return [[request.label for request in stage] for stage in stages]


def test_an_empty_cache_needs_images_first_and_then_both_encoders(store):
    images, encoders = missing_requests([BASE], store)
    assert [request.kind for request in images] == ["images"]
    assert sorted(request.kind for request in encoders) == ["dinov2", "vlm"]


def test_an_ablation_asks_once_for_each_distinct_encoder(store):
    assert listed(missing_requests(ARMS, store)) == [
        ["images (shapes)"],
        ["DINOv2 L features", "DINOv2 B features", "DINOv2 G features", "VLM features, layers final, 8, 14"],
    ]


def test_all_seeds_of_an_arm_share_their_entries(store):
    seeds = [BASE.with_fields({"seed": seed}) for seed in range(3)]
    assert needed_entries(seeds) == set(keys_of(BASE).values())


def test_what_is_cached_is_not_asked_for(store):
    publish(store, keys_of(BASE)["images"], keys_of(BASE)["vlm"])
    assert listed(missing_requests([BASE], store)) == [["DINOv2 L features"]]
    publish(store, keys_of(BASE)["dinov2"])
    assert missing_requests([BASE], store) == []


def test_the_vlm_is_run_for_absent_layers_only(store):
    publish(store, *keys_of(BASE).values())
    layers = [BASE.with_fields({"vlm.layer": layer}) for layer in ("8", "14", "final")]
    (stage,) = missing_requests(layers, store)
    assert [request.label for request in stage] == ["VLM features, layers 8, 14"]


def test_one_pass_of_each_encoder_gives_all_its_layers(store):
    publish(store, keys_of(BASE)["images"])
    changes = [("vlm.layer", "pre_merge"), ("vlm.layer", "post_merge"), ("vlm.layer", "8"), ("dinov2.layer", "12")]
    readings = [BASE.with_fields({field: layer}) for field, layer in changes]
    small = BASE.with_fields({"dinov2.size": "B", "dinov2.layer": "12"})
    assert listed(missing_requests([*readings, small], store)) == [
        [
            "DINOv2 L features, layers final, 12",
            "DINOv2 B features, layers 12",
            "VLM features, layers pre_merge, post_merge, 8, final",
        ]
    ]


def test_two_vlms_or_two_data_sets_are_two_passes(store):
    other_vlm = BASE.with_fields({"vlm.checkpoint": "org/other"})
    other_data = BASE.with_fields({"data.seed": 1})
    _, encoders = missing_requests([BASE, other_vlm, other_data], store)
    assert sum(request.kind == "vlm" for request in encoders) == 3


@pytest.mark.parametrize("field", ["n_train", "n_val", "n_test", "image_px", "target_px", "seed"])
def test_other_data_shares_no_entry(field):
    value = getattr(BASE.data, field)
    other = BASE.with_fields({f"data.{field}": 2 * value or 1})
    assert not needed_entries([BASE]) & needed_entries([other])


def test_an_encoder_field_changes_the_key_of_its_own_entry_only():
    base = keys_of(BASE)
    for changes, expected in (
        ({"vlm.layer": "8"}, "vlm"),
        ({"dinov2.size": "B"}, "dinov2"),
        ({"dinov2.layer": "12"}, "dinov2"),
    ):
        other = keys_of(BASE.with_fields(changes))
        assert [kind for kind in base if base[kind] != other[kind]] == [expected]


def test_new_weights_under_an_old_name_change_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("FORESIGHT_CHECKPOINTS", str(tmp_path))
    config = BASE.with_fields({"vlm.checkpoint": "org/vl", "dinov2.checkpoint": "lvd142m"})
    keys = []
    for content in (b"first", b"another"):
        for name in ("vl", "vit_large_patch14_dinov2.lvd142m"):
            (tmp_path / f"{name}.safetensors").write_bytes(content)
        keys.append(keys_of(config))
    assert keys[0]["images"] == keys[1]["images"]
    assert keys[0]["vlm"] != keys[1]["vlm"]
    assert keys[0]["dinov2"] != keys[1]["dinov2"]


def test_a_corrupt_entry_is_removed_named_and_asked_for_again(tmp_path, capsys):
    writer = ArrayStore(tmp_path)
    publish(writer, *keys_of(BASE).values())
    corrupt = keys_of(BASE)["dinov2"]
    (tmp_path / corrupt / "tokens.npy").write_bytes(b"other bytes")
    store = ArrayStore(tmp_path)
    assert missing_requests([BASE], store) == []
    discard_corrupt([BASE], store)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert corrupt in said
    assert listed(missing_requests([BASE], store)) == [["DINOv2 L features"]]


def test_whole_and_absent_entries_are_left_alone(store, capsys):
    publish(store, keys_of(BASE)["images"])
    discard_corrupt([BASE], store)
    assert store.has(keys_of(BASE)["images"])
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("stream", "unread"), [("vlm", "dinov2"), ("dinov2", "vlm")])
def test_an_encoder_that_is_not_read_is_not_asked_for(store, stream, unread):
    alone = BASE.with_fields({"streams": stream})
    assert needed_entries([alone]) == {key for kind, key in keys_of(BASE).items() if kind != unread}
    assert [request.kind for request in missing_requests([alone], store)[1]] == [stream]
    assert len(missing_requests([alone, BASE], store)[1]) == 2


def test_a_toy_decoder_is_pretrained_once_for_all_trials_and_data(store):
    tiny = [arm.config for arm in c2_ltx.space("tiny").arms()]
    tiny.append(tiny[0].with_fields({"data.seed": 5}))
    first, encoders = missing_requests(tiny, store)
    assert [request.kind for request in first] == ["ltx", "images", "images"]
    assert "ltx" not in {request.kind for request in encoders}
    with store.folder_writer(ltx_entry()[0], {}) as folder:
        (folder / "weights").write_bytes(b"x")
    assert [request.kind for request in missing_requests(tiny, store)[0]] == ["images", "images"]
    discard_corrupt(tiny, store)
    assert store.has(ltx_entry()[0])
    (store.root / ltx_entry()[0] / "weights").write_bytes(b"y")
    discard_corrupt(tiny, ArrayStore(store.root))
    assert not store.has(ltx_entry()[0])


def test_a_published_decoder_is_no_entry_of_the_store():
    full = c2_ltx.baseline("full")
    assert ltx_entry()[0] not in needed_entries([full])
    assert ltx_entry()[0] not in needed_entries([BASE])
