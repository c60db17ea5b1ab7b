import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minenet.data import pairing, scene_table, scenes
from minenet.types import InputError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def discover(folder, *images, masks=None, **options):
    found = scenes.stacks([folder / each for each in images])
    masks = None if masks is None else scenes.find(folder / masks, key="masks")
    return scenes.discover(found, masks=masks, **options)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["img_5", "img_12"], ["mask_5", "mask_12"]),
        (["S1_after_0002", "S1_after_0003"], ["S1_mask_0002", "S1_mask_0003"]),
        (["nicfi_12", "nicfi_3"], ["nicfi_gt_12", "nicfi_gt_3"]),
        (["image7", "image8"], ["mask7", "mask8"]),
        (["2020_a", "2020_b"], ["2020_a", "2020_b"]),
        (["north", "south"], ["label_north", "label_south"]),
        (["a_1_2", "a_2_2"], ["gt_a_1_2", "gt_a_2_2"]),
        (["train_img_0", "test_img_0"], ["train_mask_0", "test_mask_0"]),
        (["river"], ["outline"]),
    ],
)
def test_partners_are_found_by_name(left, right):
    assert pairing.match(left, right) == dict(zip(left, right, strict=True))


@given(st.sets(st.integers(0, 999), min_size=1, max_size=9), st.randoms())
def test_pairing_does_not_depend_on_order(numbers, random):
    images = [f"img_{n}" for n in numbers]
    masks = [f"mask_{n:04d}" for n in numbers]
    random.shuffle(masks)
    expected = {f"img_{n}": f"mask_{n:04d}" for n in numbers}
    assert pairing.match(images, masks) == expected


def test_equal_stems_win_over_equal_numbers():
    both = ["a_1", "b_1"]
    assert pairing.match(both, both[::-1]) == {"a_1": "a_1", "b_1": "b_1"}


def test_two_candidates_are_no_partner():
    assert pairing.match(["img_1", "img_2"], ["mask_1", "label_1", "mask_2"]) == {}


def test_scenes_with_masks(tmp_path):
    touch(
        tmp_path, "img/img_2.tif", "img/img_10.tif", "gt/mask_2.png", "gt/mask_10.png"
    )
    touch(tmp_path, "img/img_2.tif.aux.xml", "img/.img_3.part.tif", "img/mines.gpkg")
    found = discover(tmp_path, "img", masks="gt")
    assert [scene.name for scene in found] == ["img_10", "img_2"]
    assert found[1].images == (str(tmp_path / "img/img_2.tif"),)
    assert found[1].label == str(tmp_path / "gt/mask_2.png")
    assert found[1].group == "img_2"


def test_image_folders_stack_in_the_order_named(tmp_path):
    for i in "1", "2":
        touch(
            tmp_path, f"S2/S2_after_{i}.png", f"S1/S1_after_{i}.png", f"M/mask_{i}.png"
        )
    found = discover(tmp_path, "S2", "S1", masks="M")
    assert [scene.images for scene in found] == [
        (str(tmp_path / f"S2/S2_after_{i}.png"), str(tmp_path / f"S1/S1_after_{i}.png"))
        for i in "12"
    ]


def test_a_glob_finds_folders_and_their_splits(tmp_path):
    for part in "training", "validation":
        touch(tmp_path, f"{part}/images/tile_1.tif", f"{part}/masks/tile_1.png")
    found = discover(tmp_path, "*/images", masks="*/masks")
    assert [(s.name, s.split) for s in found] == [
        ("training_tile_1", "train"),
        ("validation_tile_1", "validation"),
    ]
    assert all(
        s.label == s.images[0].replace("images", "masks")[:-3] + "png" for s in found
    )


@pytest.mark.parametrize("excluded", ["23", "img_23"])
def test_excluded_scenes_are_left_out_with_their_masks(tmp_path, excluded):
    touch(
        tmp_path, "img/img_2.tif", "img/img_23.tif", "gt/mask_2.tif", "gt/mask_23.tif"
    )
    found = discover(tmp_path, "img", masks="gt", exclude=[excluded])
    assert [scene.name for scene in found] == ["img_2"]


def test_an_excluded_image_needs_no_mask(tmp_path):
    touch(tmp_path, "img/img_2.tif", "img/img_23.tif", "img/img_4.tif")
    touch(tmp_path, "gt/mask_2.tif", "gt/mask_4.tif")
    assert len(discover(tmp_path, "img", masks="gt", exclude=["23"])) == 2


@pytest.mark.parametrize("lonely", ["img/img_3.tif", "gt/mask_3.tif"])
def test_a_file_without_partner_is_named(tmp_path, lonely):
    touch(tmp_path, "img/img_2.tif", "img/img_4.tif", "gt/mask_2.tif", "gt/mask_4.tif")
    touch(tmp_path, lonely)
    with pytest.raises(InputError, match=f"{lonely}: no partner in .*exclude"):
        discover(tmp_path, "img", masks="gt")


def test_what_names_no_raster_is_told(tmp_path):
    touch(tmp_path, "empty/images/a.tif", "empty/notes.txt")
    with pytest.raises(InputError, match="images: no rasters in .*folders images"):
        scenes.find(tmp_path / "empty", key="images")
    with pytest.raises(InputError, match="masks: .*gone matches no file or folder"):
        scenes.find(tmp_path / "gone", key="masks")
    with pytest.raises(InputError, match="images: empty"):
        scenes.stacks([])
    with pytest.raises(InputError, match="exclude: nothing left of 1 scenes"):
        discover(tmp_path, "empty/images", exclude=["a"])


TABLE = "tile,region,part\n2,north,train\n10,south,val\n3,south,TEST\n"


def made(*names):
    return [scenes.Scene(name, (f"{name}.tif",), None, name) for name in names]


def join(tmp_path, text, *names, **columns):
    (tmp_path / "table.csv").write_text(text)
    return scene_table.join(made(*names), tmp_path / "table.csv", **columns)


def test_a_table_tells_groups_and_splits(tmp_path):
    columns = {"key": "tile", "group": "region", "split": "part"}
    found = join(tmp_path, TABLE, "img_2", "img_0010", **columns)
    assert [(s.group, s.split) for s in found] == [
        ("north", "train"),
        ("south", "validation"),
    ]


def test_a_table_is_keyed_by_name_before_number(tmp_path):
    text = "name,region\nb_1,south\na_1.tif,north\n1,east\n"
    found = join(tmp_path, text, "a_1", "b_1", "c_1", group="region")
    assert [s.group for s in found] == ["north", "south", "east"]


@pytest.mark.parametrize(
    ("names", "columns", "message"),
    [
        (["img_7"], {"key": "tile"}, "0 rows for scene 'img_7' in column 'tile'"),
        (["img_2"], {"key": "id"}, "no column 'id'; it has tile, region, part"),
        (["img_2"], {"split": "region"}, "region of scene 'img_2' is 'north'"),
    ],
)
def test_a_table_that_does_not_fit_is_told(tmp_path, names, columns, message):
    with pytest.raises(InputError, match=message):
        join(tmp_path, TABLE, *names, **columns)


def test_a_table_with_two_rows_for_a_scene_is_told(tmp_path):
    with pytest.raises(InputError, match="2 rows for scene 'img_2'"):
        join(tmp_path, TABLE + "2,east,test\n", "img_2")


def test_a_missing_table_is_told(tmp_path):
    with pytest.raises(InputError, match="not a CSV table"):
        scene_table.join(made("a"), tmp_path / "gone.csv")


def test_real_tiles_pair_by_number(real_data):
    root = real_data / "tailings_s2_brazil"
    found = discover(root, "img_u16", masks="mask_maus", exclude=["23"])
    numbers = [pairing.number(scene.name) for scene in found]
    assert len(found) == 81 and "23" not in numbers
    assert numbers == [pairing.number(scene.label[:-4]) for scene in found]
    groups = scene_table.join(found, root / "index.csv", key="i", group="group")
    assert len(np.unique([scene.group for scene in groups])) > 20


def test_real_pairs_of_two_sensors_and_two_dates_stack(real_data):
    root = real_data / "ombria_s1s2_flood"
    stacks = ["S2_train/BEFORE", "S2_train/AFTER", "S1_train/AFTER"]
    found = discover(root, *stacks, masks="S1_train/MASK")
    assert len(found) == 60
    for scene in found:
        assert len({pairing.number(path[:-4]) for path in scene.images}) == 1
