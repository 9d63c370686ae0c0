"""Layouts of image folders, as Kaggle and others have them."""

import ast
import pathlib
import re
import shutil
import unicodedata
import warnings

import pandas
import pytest
from image_files import save

from skkd import load_image_folder
from skkd.images import ImageFolderWarning
from skkd.images._names import find_splits

ANIMALS = ("cat", "dog")


def tree(root, *folders, n=2, files=("{}.png",)):
    """Save different images with these names, for 0 ... n, in each folder."""
    count = sum(1 for _ in root.rglob("*.png"))
    for folder in folders:
        for i in range(n):
            for name in files:
                count += 1
                save(root / folder / name.format(i), (count % 256, count // 256, 9))
    return root


def both(*splits, classes=ANIMALS):
    return [f"{split}/{name}" for split in splits for name in classes]


def call_in(message, i=0):
    """Run the call that a message names; its result."""
    found = re.findall(
        r"load_image_folder\(('[^']*')(?:, (\w+)=(\[[^]]*\]|'[^']*'))?\)", message
    )
    root, name, value = found[i]
    options = {name: ast.literal_eval(value)} if name else {}
    return load_image_folder(ast.literal_eval(root), **options)


SPLITS = {
    "train and test": both("train", "test"),
    "three splits": both("Train", "Valid", "TEST"),
    "training_set": both("training_set", "test_set"),
    "flat test": [*both("train"), "test"],
    "numbered flat test": [*both("train"), "test1"],
    "beside copies": both("train", "val", "chest_xray/train", "chest_xray/val"),
    "in folders of their own": both("seg_train/seg_train", "seg_test/seg_test"),
    "with one to predict": [*both("seg_train", "seg_test"), "seg_pred"],
    "in camel case": both("TrainImages", "TestImages"),
    "without labels": [*both("train"), "unlabeled"],
    "beside classes": [*both("train", "val"), "cat", "dog"],
    "beside annotations": [*both("train", "validation"), "annotations"],
    "in a wrapping folder": both("archive/data/training", "archive/data/testing"),
}


@pytest.mark.parametrize("folders", SPLITS.values(), ids=SPLITS)
def test_splits_are_refused_and_the_call_is_named(tmp_path, folders):
    with pytest.raises(ValueError, match="holds splits, not classes: ") as info:
        load_image_folder(tree(tmp_path, *folders))
    with warnings.catch_warnings():  # that a folder holds one folder
        warnings.simplefilter("ignore", ImageFolderWarning)
        assert call_in(str(info.value)).target_names == [*ANIMALS]


def test_splits_can_be_classes(tmp_path):
    tree(tmp_path, "train", "test", "bus")
    with pytest.raises(ValueError, match=r"pass classes=\['bus', 'test', 'train'\]"):
        load_image_folder(tmp_path)
    photos = load_image_folder(tmp_path, classes=["train", "test"])
    assert photos.target_names == ["test", "train"]
    assert len(photos.data) == 4


@pytest.mark.parametrize(
    "names",
    [
        ["bicycle", "bus", "car", "train"],
        ["image", "text", "video"],
        ["control", "test"],
        ["label_0", "label_1"],
        ["bullet_train", "test_tube", "train_station"],
        ["valid", "invalid"],
        ["mask", "no_mask"],
        ["with_mask", "without_mask", "mask_weared_incorrect"],
        ["0", "1", "2"],
        ["class_1", "class_2"],
        ["a", "A", "b", "B"],
        ["cat", "cat_2", "wildcat"],
        ["images", "stamps"],
        ["yes", "no"],
        ["color", "colour"],
    ],
)
def test_ordinary_names_are_silent(tmp_path, names):
    tree(tmp_path, *names, files=(f"{names[0]}_{{}}.png",))
    (tmp_path / "metadata.csv").write_text("file,label\n")
    assert load_image_folder(tmp_path).target_names == sorted(names)


def test_folders_below_the_classes_are_silent(tmp_path):
    """Patients, clips and dates: other names in each class, or beside images."""
    tree(
        tmp_path, "sick/patient_1", "sick/patient_2", "well/patient_3", "well/patient_4"
    )
    assert load_image_folder(tmp_path).target_names == ["sick", "well"]
    tree(tmp_path / "n", "0/1", "0/2", "1/3", "1/4")  # patients 1 to 4
    assert load_image_folder(tmp_path / "n").target_names == ["0", "1"]
    shutil.rmtree(tmp_path / "n")
    dates = [f"{name}/2021-01-0{i}" for name in ("sick", "well") for i in (1, 2)]
    tree(tmp_path / "dates", *dates)
    assert load_image_folder(tmp_path / "dates").target_names == ["sick", "well"]
    shutil.rmtree(tmp_path / "dates")
    tree(tmp_path, "sick", "well")
    assert load_image_folder(tmp_path).target_names == ["sick", "well"]


@pytest.mark.parametrize("wrap", ["pets", "train", "archive/pets/images"])
def test_a_single_wrapping_folder_is_followed(tmp_path, wrap):
    tree(tmp_path, *both(wrap))
    (tmp_path / "README.md").touch()
    with pytest.warns(ImageFolderWarning, match=f"but the folder '{wrap}'") as record:
        photos = load_image_folder(tmp_path)
    assert photos.target_names == [*ANIMALS]
    assert len(record) == 1
    assert load_image_folder(tmp_path / wrap).data.tolist() == photos.data.tolist()


def test_a_single_class_is_no_wrapping_folder(tmp_path):
    tree(tmp_path, "unknown")
    assert load_image_folder(tmp_path).target_names == ["unknown"]
    tree(tmp_path / "x", "animals/cat", "animals/dog")
    named = load_image_folder(tmp_path / "x", classes=["animals"])
    assert named.target_names == ["animals"]


@pytest.mark.parametrize("copy", [both("brain"), ["brain/cat"]])
def test_a_copy_beside_the_classes(tmp_path, copy):
    with pytest.raises(ValueError, match=r"folder 'brain' .*named like those") as info:
        load_image_folder(tree(tmp_path, *ANIMALS, *copy))
    assert call_in(str(info.value)).target_names == [*ANIMALS]


@pytest.mark.parametrize(
    "folders",
    [
        ["images"],
        ["train_images"],
        ["images_001", "images_002/images"],
        ["HAM10000_images_part_1", "HAM10000_images_part_2"],
    ],
)
def test_images_beside_a_table(tmp_path, folders):
    for i, folder in enumerate(folders):
        tree(tmp_path, folder, files=(f"{i}_{{}}.png",))
    table = "name,label\n" + "".join(
        f"{i}_{j},{'ab'[j]}\n" for i in range(len(folders)) for j in (0, 1)
    )
    (tmp_path / "labels.csv").write_text(table)
    with pytest.raises(
        ValueError, match=r"are no classes.*labels='labels.csv'"
    ) as info:
        load_image_folder(tmp_path)
    assert call_in(str(info.value)).target_names == ["a", "b"]


def test_one_class_beside_a_table(tmp_path):
    tree(tmp_path, "img_align_celeba")
    (tmp_path / "labels.csv").write_text("image,label\n0.png,a\n1.png,b\n")
    with pytest.warns(ImageFolderWarning, match="one class, 'img_align") as record:
        load_image_folder(tmp_path)
    assert call_in(str(record[0].message)).target_names == ["a", "b"]
    named = load_image_folder(tmp_path, classes=["img_align_celeba"])
    assert len(named.data) == 2


def test_files_without_suffix(tmp_path):
    for folder in both("train", "test"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "IM0001").write_bytes(folder.encode())
    with pytest.raises(ValueError, match="holds splits"):
        load_image_folder(tmp_path)


def test_images_and_masks_are_no_classes(tmp_path):
    tree(tmp_path, "images", "masks")
    with pytest.raises(ValueError, match=r"\['images', 'masks'\], which say what"):
        load_image_folder(tmp_path)
    tree(tmp_path / "voc", "JPEGImages", "SegmentationClass")
    tree(tmp_path / "pets", "images")
    (tmp_path / "pets" / "annotations").mkdir()
    tree(tmp_path / "trimaps", "images", "annotations/trimaps")
    tree(tmp_path / "copies", "Original Images", "Augmented Images")
    for root in ("voc", "pets", "trimaps", "copies"):
        with pytest.raises(ValueError, match="which say what"):
            load_image_folder(tmp_path / root)
    tree(tmp_path / "one", "images")
    with pytest.warns(ImageFolderWarning, match=r"\['images'\], which say what"):
        load_image_folder(tmp_path / "one")


@pytest.mark.parametrize(
    "folders",
    [
        both("fold1", "fold2"),  # of a cross-validation
        both("10253", "10254", classes=("0", "1")),  # patients, then classes
        both("photo", "sketch", "cartoon"),  # domains, then classes
        ["animals/cat", "animals/dog", "vehicles/bus", "vehicles/car"],
        ["camera_1/cat", "camera_1/dog", "camera_2/cat"],
        ["lfw/ann", "lfw/bob", "lfw-funneled/lfw-funneled/ann"],
        [*both("train"), "extra"],
    ],
)
def test_classes_that_may_be_deeper(tmp_path, folders):
    tree(tmp_path, *folders)
    with pytest.warns(ImageFolderWarning, match="If those are the classes") as record:
        names = load_image_folder(tmp_path).target_names
    inner = call_in(str(record[0].message)).target_names
    assert len(inner) == 2
    assert load_image_folder(tmp_path, classes=names).target_names == names


def test_findings_below_patients(tmp_path):
    for i in range(4):
        tree(tmp_path, f"patient_{i}/study1_{'positive' if i % 2 else 'negative'}")
    with pytest.warns(ImageFolderWarning, match=r"lie deeper, in \['study1_negative"):
        load_image_folder(tmp_path)


@pytest.mark.parametrize("odd", ["test", "unlabeled", "validation", "test_images"])
def test_a_split_beside_classes(tmp_path, odd):
    with pytest.warns(ImageFolderWarning, match=f"class '{odd}' has the name") as r:
        load_image_folder(tree(tmp_path, *ANIMALS, odd))
    assert call_in(str(r[0].message)).target_names == [*ANIMALS]
    assert len(load_image_folder(tmp_path, classes=[*ANIMALS, odd]).data) == 6


def test_a_class_within_another(tmp_path):
    tree(tmp_path, *ANIMALS, "dog/cat", "dog/puppy")
    with pytest.warns(ImageFolderWarning, match=r"inside other.*\['dog/cat'\]") as r:
        load_image_folder(tmp_path)
    assert len(call_in(str(r[0].message)).data) == 6
    assert len(load_image_folder(tmp_path, exclude=[]).data) == 8


def test_patterns_of_names_with_brackets(tmp_path):
    tree(tmp_path, "[a]", "b", "[a]/b", "b/[a]")
    with pytest.warns(ImageFolderWarning, match="inside other classes") as record:
        load_image_folder(tmp_path)
    patterns = str(record[0].message).partition("exclude=")[2].partition(");")[0]
    photos = load_image_folder(tmp_path, exclude=ast.literal_eval(patterns))
    assert len(photos.data) == 4


@pytest.mark.parametrize("inner", ["seg_pred", "test_1", "x"])
def test_a_folder_in_itself_holds_no_classes(tmp_path, inner):
    root = tmp_path / (inner if inner == "x" else "y")
    tree(root, inner)
    with pytest.warns(ImageFolderWarning, match=r"is one class|are no classes"):
        load_image_folder(root)
    assert len(load_image_folder(root, classes=[inner]).data) == 2


def test_a_folder_in_itself_beside_a_table(tmp_path):
    tree(tmp_path, "celeba/celeba")
    (tmp_path / "sample_submission.csv").write_text("image,label\n0.png,a\n1.png,a\n")
    (tmp_path / "attributes.csv").write_text("image,label\n0.png,a\n1.png,b\n")
    with pytest.warns(ImageFolderWarning) as record:
        load_image_folder(tmp_path)
    assert "one class, 'celeba', beside 'attributes" in str(record[-1].message)
    assert call_in(str(record[-1].message)).target_names == ["a", "b"]


@pytest.mark.parametrize(
    ("tables", "named"),
    [
        (["sample_submission.csv", "labels.csv"], "'../labels.csv'"),
        (["test.csv", "train.csv"], "'../train.csv'"),
        (["Submission.csv", "test.csv"], "pandas.DataFrame"),
        (["data.json"], "pandas.DataFrame"),
    ],
)
def test_which_table_is_named(tmp_path, tables, named):
    tree(tmp_path, "train", "test")
    for table in tables:
        (tmp_path / table).write_text("file,label\n0.png,a\n1.png,b\n")
    with pytest.raises(ValueError, match="no class folders") as info:
        load_image_folder(tmp_path)
    assert named in str(info.value)
    if named.startswith("'"):
        assert call_in(str(info.value)).target_names == ["a", "b"]


def test_parts_of_a_split(tmp_path):
    tree(tmp_path, "train_1", files=("a{}.png",))
    tree(tmp_path, "train_2", files=("b{}.png",))
    tree(tmp_path, "test", files=("c{}.png",))
    (tmp_path / "labels.csv").write_text("name,label\na0,x\na1,y\nb0,x\nb1,y\n")
    with pytest.raises(ValueError, match="no class folders") as info:
        load_image_folder(tmp_path)
    with pytest.warns(ImageFolderWarning, match=r"say so by exclude=\['test/\*'\]"):
        assert call_in(str(info.value)).target_names == ["x", "y"]


@pytest.mark.parametrize("names", [["cat_{}", "dog_{}"], ["{}A", "{}B"]])
def test_splits_of_each_class(tmp_path, names):
    folders = [name.format(split) for name in names for split in ("train", "test")]
    with pytest.raises(ValueError, match="holds splits, not classes") as info:
        load_image_folder(tree(tmp_path, *folders))
    expected = [name.format("train") for name in names]
    assert call_in(str(info.value)).target_names == expected


@pytest.mark.parametrize(
    ("folders", "empty"),
    [
        (both("images"), ["attributes", "meta"]),
        (both("images", "segmentations"), ["meta"]),
        (both("101_ObjectCategories"), ["Annotations"]),
        (ANIMALS, ["bird"]),
    ],
)
def test_folders_without_images(tmp_path, folders, empty):
    tree(tmp_path, *folders)
    for name in empty:
        (tmp_path / name).mkdir()
        (tmp_path / name / "list.txt").touch()
    with pytest.raises(ValueError, match="have no readable image") as info:
        load_image_folder(tmp_path)
    assert call_in(str(info.value)).target_names == [*ANIMALS]


def test_archives_that_are_not_unpacked(tmp_path):
    tree(tmp_path / "all", *ANIMALS)
    shutil.make_archive(str(tmp_path / "zipped" / "pets"), "zip", tmp_path / "all")
    tree(tmp_path / "one", "cat")
    (tmp_path / "one" / "dog").mkdir()
    dogs = tmp_path / "one" / "dog" / "photos"
    shutil.make_archive(str(dogs), "gztar", tmp_path / "all" / "dog")
    for root, again in [
        (tmp_path / "zipped", tmp_path / "zipped" / "pets"),
        (tmp_path / "zipped" / "pets.zip", tmp_path / "zipped" / "pets"),
        (tmp_path / "one", tmp_path / "one"),
    ]:
        with pytest.raises((ValueError, NotADirectoryError)) as info:
            load_image_folder(root)
        call = re.search(r"(shutil\.unpack_archive\(.*?\))\.", str(info.value))
        exec(call[1])
        with warnings.catch_warnings():  # that the archive is no image
            warnings.simplefilter("ignore", ImageFolderWarning)
            assert load_image_folder(again).target_names == [*ANIMALS]
        shutil.rmtree(tmp_path / "zipped" / "pets", ignore_errors=True)


@pytest.mark.parametrize("end", [".{}.png", "_{}.png", " ({}).png"])
def test_classes_in_the_names_of_files(tmp_path, end):
    tree(tmp_path, ".", files=(f"big_cat{end}", f"dog{end}"))
    with pytest.raises(ValueError, match="no class folders") as info:
        load_image_folder(tmp_path)
    code = str(info.value).partition("a table of them: ")[2].removesuffix(".")
    *steps, call = code.split("; ")
    scope = {"re": re, "pathlib": pathlib, "pandas": pandas, "photos": None}
    scope["load_image_folder"] = load_image_folder
    exec("; ".join([*steps, f"photos = {call}"]), scope)
    assert sorted(scope["photos"].target) == ["big_cat", "big_cat", "dog", "dog"]


def test_splits_inside_the_classes(tmp_path):
    tree(tmp_path, "cat/train", "cat/test", "dog/train", "dog/test")
    with pytest.warns(ImageFolderWarning, match="inside the class folders") as record:
        assert len(load_image_folder(tmp_path).data) == 8
    assert len(record) == 1
    photos = call_in(str(record[0].message))
    assert all("train" in path for path in photos.data)
    assert len(photos.data) == 4
    assert len(load_image_folder(tmp_path, exclude=[]).data) == 8


MASKS = {
    "in a folder": (["{}/images", "{}/masks"], ["x ({{}}).png"]),
    "in a folder, other names": (["{}/img", "{}/ground_truth"], None),
    "beside a folder": (["{}", "{}/GT"], ["x{{}}.png"]),
    "by name": (["{}"], ["x ({{}}).png", "x ({{}})_mask.png"]),
    "by name and number": (
        ["{}"],
        ["x{{}}.png", "x{{}}_mask_1.png", "x{{}}_mask_2.png"],
    ),
    "by name, ISIC": (["{}"], ["ISIC_{{}}.png", "ISIC_{{}}_segmentation.png"]),
    "by name, before": (["{}"], ["img-{{}}.png", "mask-{{}}.png"]),
    "by name, of two kinds": (["{}"], ["{{}}_sat.png", "{{}}_color_mask.png"]),
    "of patients": (["{}/p1/Image", "{}/p1/Mask"], ["{{}}.png"]),
}


@pytest.mark.parametrize(("folders", "files"), MASKS.values(), ids=MASKS)
def test_masks_beside_images_are_named(tmp_path, folders, files):
    for name in ("benign", "malignant"):
        for i, folder in enumerate(folders):
            of_folder = [f.format("") for f in files or [f"{'ab'[i]}{{{{}}}}.png"]]
            tree(tmp_path, folder.format(name), files=of_folder)
    with pytest.warns(ImageFolderWarning, match="look like masks of others") as record:
        n_all = len(load_image_folder(tmp_path).data)
    assert len(record) == 1
    photos = call_in(str(record[0].message))
    assert photos.target.tolist() == ["benign"] * 2 + ["malignant"] * 2
    assert not any(
        re.search("(?i)mask|GT|truth|seg", p[len(str(tmp_path)) :]) for p in photos.data
    )
    assert len(load_image_folder(tmp_path, exclude=[]).data) == n_all


def test_images_alone_in_a_folder_are_silent(tmp_path):
    tree(tmp_path, "benign/images", "malignant/images")
    assert len(load_image_folder(tmp_path).data) == 4


def test_classes_that_look_the_same_are_refused(tmp_path):
    forms = [unicodedata.normalize(form, "caf\u00e9") for form in ("NFC", "NFD")]
    for names in (forms, ["cat", "cat "], ["big cat", "big  cat"]):
        root = tree(tmp_path / names[0], *names)
        if len({p.name for p in root.iterdir()}) < 2:
            pytest.skip("this file system has one form only")
        with pytest.raises(ValueError, match="look the same"):
            load_image_folder(root)
        assert len(load_image_folder(root, classes=names).target_names) == 2


@pytest.mark.parametrize("names", [["Cat", "cat"], ["big cat", "big_cat"]])
def test_classes_that_are_alike_are_named(tmp_path, names):
    tree(tmp_path, *names)
    with pytest.warns(ImageFolderWarning, match="only in case, blanks or dashes"):
        assert load_image_folder(tmp_path).target_names == sorted(names)


@pytest.mark.parametrize("classes", ["cat", [], ["cat", "bird"]])
def test_wrong_classes(tmp_path, classes):
    with pytest.raises(ValueError, match=r"classes=.*among \['cat', 'dog'\]"):
        load_image_folder(tree(tmp_path, *ANIMALS), classes=classes)


def test_wrong_exclude(tmp_path):
    with pytest.raises(
        ValueError, match=r"exclude=3; expected a pattern|exclude=\[3\]"
    ):
        load_image_folder(tree(tmp_path, *ANIMALS), exclude=[3])


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["asl_alphabet_train", "asl_alphabet_test"], 2),
        (["train1", "train2"], 0),
        (["Training", "Testing", "other"], 2),
        (["train", "bus"], 0),
        (["steam train", "crash test"], 0),
    ],
)
def test_find_splits(names, expected):
    assert len(find_splits(names)) == expected


def test_thumbnails_of_a_server_are_left_out(tmp_path):
    tree(tmp_path, *ANIMALS, "cat/@eaDir")
    assert len(load_image_folder(tmp_path).data) == 4
