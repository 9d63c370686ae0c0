"""load_image_folder with a table of labels."""

import re
import unicodedata
import warnings

import numpy as np
import pandas as pd
import pytest
from image_files import names, save, truncate

from skkd import load_image_folder
from skkd.images import ImageFolderWarning, UnreadableImageError


@pytest.fixture
def root(tmp_path):
    """Four images in two folders, as data sets of several archives have them."""
    files = ["part_1/a.1.png", "part_1/b.jpg", "part_2/c.png", "part_2/d.JPG"]
    for i, file in enumerate(files):
        save(tmp_path / file, (i * 60, 9, 9))
    return tmp_path


def table(root, text, **options):
    (root / "labels.csv").write_text(text, **options)
    return root


ROWS = "id,diagnosis\nd.JPG,nv\na.1.png,mel\nc.png,nv\nb.jpg,bcc\n"


@pytest.mark.parametrize(
    "text",
    [
        ROWS,
        ROWS.replace(".JPG", "").replace(".png", "").replace(".jpg", ""),  # ids
        ROWS.replace("d.JPG", "part_2/d.JPG").replace("b.jpg", "./part_1/b"),
        ROWS.replace("c.png", "part_2\\c.png"),
        ROWS.replace("d.JPG", "d.jpg"),
        ROWS.replace(",", ";"),
        ROWS.replace(",", "\t"),
        "\ufeff" + ROWS.replace("\n", "\r\n"),
        ROWS.partition("\n")[2],  # no header
        'diagnosis,"id"\nnv,d\nmel,"a.1"\nnv,c\n\nbcc,b\n',
    ],
)
def test_names_and_labels(root, text):
    photos = load_image_folder(table(root, text, encoding="utf-8"), labels="labels.csv")
    assert [p.rsplit("/", 1)[1][0] for p in names(photos, root)] == ["d", "a", "c", "b"]
    assert photos.target.tolist() == ["nv", "mel", "nv", "bcc"]
    assert photos.target_names == ["bcc", "mel", "nv"]
    assert len(photos.sha256) == len(photos.groups) == 4


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ("0 1 1 10", np.array([0, 1, 1, 10])),
        ("0.5 1.0 1.0 2.0", np.array([0.5, 1, 1, 2])),
        ("True False True True", np.array([True, False, True, True])),
        ("007 01 1 2", np.array(["007", "01", "1", "2"])),
        ("NA None nan x", np.array(["NA", "None", "nan", "x"])),
    ],
)
def test_labels_keep_their_type(root, labels, expected):
    rows = zip(["a.1", "b", "c", "d"], labels.split(), strict=True)
    text = "\n".join(["id,label", *map(",".join, rows)])
    photos = load_image_folder(table(root, text), labels="labels.csv")
    np.testing.assert_array_equal(photos.target, expected)
    assert photos.target.dtype.kind == expected.dtype.kind
    assert photos.target_names == sorted(set(expected.tolist()))


def test_columns_by_name_and_position(root):
    text = "id,age,label\na.1,0,x\nb,1,y\nc,2,x\nd,3,y\n"
    table(root, text)
    with pytest.raises(ValueError, match=r"\['id', 'age', 'label'\]; say which .*"):
        load_image_folder(root, labels="labels.csv")
    for columns in (
        {"label_column": "label"},
        {"label_column": 2},
        {"file_column": "id", "label_column": "label"},
    ):
        photos = load_image_folder(root, labels=root / "labels.csv", **columns)
        assert photos.target.tolist() == ["x", "y", "x", "y"]
    with pytest.raises(ValueError, match=r"label_column='lable'; expected one of"):
        load_image_folder(root, labels="labels.csv", label_column="lable")


def test_one_column_for_each_class(root):
    text = "id,healthy,rust\na.1,1,0\nb,0,1\nc,0,1\nd,1.0,0.0\n"
    with pytest.raises(ValueError, match=r"label_column=\['healthy', 'rust'\]"):
        load_image_folder(table(root, text), labels="labels.csv")
    columns = ["healthy", "rust"]
    photos = load_image_folder(root, labels="labels.csv", label_column=columns)
    assert photos.target.tolist() == ["healthy", "rust", "rust", "healthy"]
    table(root, text.replace("c,0,1", "c,1,1"))
    with pytest.raises(ValueError, match=r"exactly one is to be 1, .*'c', '1', '1'"):
        load_image_folder(root, labels="labels.csv", label_column=columns)


def test_data_frame(root):
    frame = pd.DataFrame({"image": ["b", "a.1.png", "c", "d"], "label": [3, 1, 3, 2]})
    photos = load_image_folder(root, labels=frame)
    assert photos.target.tolist() == [3, 1, 3, 2]
    assert photos.target.dtype.kind == "i"
    frame["image"] = [str(root / "part_1" / "b.jpg"), "a.1", "c", "d"]
    assert len(load_image_folder(root, labels=frame).data) == 4
    frame.loc[1, "label"] = None
    with pytest.raises(ValueError, match=r"1 row\(s\) have no label(.|\n)*a\.1"):
        load_image_folder(root, labels=frame)
    with pytest.raises(ValueError, match="labels=list; expected the path"):
        load_image_folder(root, labels=[1, 2])


def test_a_column_of_numbers_is_not_taken_for_names(tmp_path):
    """The labels 0 and 1 would also name files."""
    for i in range(4):
        save(tmp_path / f"{i}.png", (i, 0, 0))
    table(tmp_path, "label,id\n0,0\n1,1\n1,2\n0,3\n")
    photos = load_image_folder(tmp_path, labels="labels.csv")
    assert photos.target.tolist() == [0, 1, 1, 0]


def test_which_column_names_files(tmp_path):
    for i in range(4):
        save(tmp_path / "images" / f"{i}.png", (i, 0, 0))
        save(tmp_path / "masks" / f"{i}_mask.png", (i, 9, 0))
    # Labels that could be names of files, a header that tells, and two equal columns.
    frame = pd.DataFrame({"label": [3, 2, 1, 0], "id": [0.0, 1.0, 2.0, 3.0]})
    assert load_image_folder(tmp_path / "images", labels=frame).target.tolist() == [
        *(3, 2, 1, 0)
    ]
    frame["path"] = [f"{i}.png" for i in range(4)]
    photos = load_image_folder(tmp_path / "images", labels=frame, label_column="label")
    assert photos.target.tolist() == [3, 2, 1, 0]
    # Ids from 1 are no ids from 0.
    ids = pd.DataFrame({"id": [1, 2, 3, 4], "label": [0, 1, 1, 0]})
    with pytest.raises(FileNotFoundError, match="row 3: 4"):
        load_image_folder(tmp_path / "images", labels=ids)
    pairs = pd.DataFrame(
        {
            "image_path": [f"images/{i}.png" for i in range(4)],
            "mask_path": [f"masks/{i}_mask.png" for i in range(4)],
            "label": [*"abab"],
        }
    )
    with pytest.raises(ValueError, match="file_column='image_path'"):
        load_image_folder(tmp_path, labels=pairs, label_column="label")


def test_headers_and_cells_that_look_like_others(tmp_path):
    for i in range(3):
        save(tmp_path / f"{i}.png", (i, 0, 0))
    # Not rows of their own: 0 and 1 as headers, and a line break in a cell.
    table(tmp_path, "image,0,1\n0,1,0\n1,0,1\n2,0,1\n")
    options = {"labels": "labels.csv", "label_column": ["0", "1"]}
    assert load_image_folder(tmp_path, **options).target.tolist() == [0, 1, 1]
    table(
        tmp_path,
        'image,text,label\n0,"a\nb",x\n1,c\u2028d,y\n2,e,x\n',
        encoding="utf-8",
    )
    options["label_column"] = "label"
    assert load_image_folder(tmp_path, **options).target.tolist() == ["x", "y", "x"]
    # A name with a suffix is one of a file, an id may be any number.
    table(tmp_path, "id,name,label\n2,0.png,x\n1,1.png,y\n0,2.png,y\n")
    assert load_image_folder(tmp_path, **options).target.tolist() == ["x", "y", "y"]


def test_columns_that_are_none(root):
    table(root, "file,label,label\na.1,x,0\nb,y,1\nc,x,1\nd,y,1\n")
    with pytest.raises(ValueError, match=r"several columns.*label_column=1, of"):
        load_image_folder(root, labels="labels.csv", label_column="label")
    photos = load_image_folder(root, labels="labels.csv", label_column=2)
    assert photos.target.tolist() == [0, 1, 1, 1]
    with pytest.raises(ValueError, match="label_column='file' has the names of"):
        load_image_folder(root, labels="labels.csv", label_column="file")
    frame = pd.DataFrame([["a.1", "x", 0]], columns=["file", "label", "label"])
    with pytest.raises(ValueError, match="have the same name"):
        load_image_folder(root, labels=frame, label_column=2)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("id,dx,dx_type,age", "dx"),
        ("id,class id,labels,data set", "labels"),
        ("id,Width,ClassId,x", "ClassId"),
        ("id,age,sex,site", "site"),
    ],
)
def test_which_label_column_is_suggested(root, header, expected):
    table(root, f"{header}\na.1,x,y,z\nb,x,y,z\n")
    with pytest.raises(ValueError, match=f"label_column='{expected}'"):
        load_image_folder(root, labels="labels.csv")


def test_splits_in_a_table(tmp_path):
    """Rows of the test images would be learned with the others."""
    rows = ["path,label"]
    for i, folder in enumerate(["train/cat", "train/dog", "test/cat", "test/dog"]):
        save(tmp_path / folder / "1.png", (i, 0, 0))
        rows.append(f"{folder}/1.png,{folder[-3:]}")
    table(tmp_path, "\n".join(rows))
    with pytest.warns(ImageFolderWarning, match=r"exclude=\['test/\*'\]"):
        load_image_folder(tmp_path, labels="labels.csv")
    for exclude, n in [(["test/*"], 2), ([], 4)]:
        photos = load_image_folder(tmp_path, labels="labels.csv", exclude=exclude)
        assert len(photos.data) == n


def test_a_column_of_splits(root):
    frame = pd.DataFrame(
        {
            "file": ["a.1", "b", "c", "d"],
            "label": [*"xyxy"],
            "data set": ["train", "train", "test", "valid"],
        }
    )
    with pytest.warns(ImageFolderWarning, match=r"'data set'.*frame\[") as record:
        load_image_folder(root, labels=frame, label_column="label")
    code = str(record[0].message).partition("labels=")[2].partition(" of a data")[0]
    chosen = eval(code)
    assert chosen["file"].tolist() == ["a.1", "b"]
    photos = load_image_folder(
        root, labels=chosen, label_column="label", exclude="part_2/*"
    )
    assert len(photos.data) == 2
    every = load_image_folder(root, labels=frame, label_column="label", exclude=[])
    assert len(every.data) == 4


def test_images_of_other_folders_have_no_row(root):
    table(root, "id,label\na.1,x\nb,y\n")
    with pytest.warns(ImageFolderWarning, match=r"exclude=\['part_2/\*'\]"):
        load_image_folder(root, labels="labels.csv")
    options = {"labels": "labels.csv", "exclude": ["part_2/*"]}
    assert len(load_image_folder(root, **options).data) == 2


def test_several_labels_of_one_image(root):
    table(root, "id,label\na.1,x|y\nb,y\nc,x\nd,z|w\n")
    with pytest.warns(ImageFolderWarning, match=r"1 label\(s\) join(.|\n)*'x\|y'"):
        load_image_folder(root, labels="labels.csv")


def test_other_tables_as_data_frames(root):
    """The calls that the errors name read them."""
    (root / "spaces.txt").write_text("a.1.png 1\nb.jpg 2\nc.png 1\nd.JPG 2\n")
    (root / "commas.csv").write_text("id,label\na.1,1\nb,2,x\nc,1\nd,2\n")
    for name, n in [("spaces.txt", 4), ("commas.csv", 3)]:
        with pytest.raises(ValueError, match=r"pandas\.read_csv") as info:
            load_image_folder(root, labels=name)
        call = re.search(r"pandas(\.read_csv\(.*?\))\.$", str(info.value))[1]
        frame = eval(f"pd{call}")
        with warnings.catch_warnings():  # b has no row
            warnings.simplefilter("ignore", ImageFolderWarning)
            assert len(load_image_folder(root, labels=frame).data) == n
    frame = pd.DataFrame({"label": [1, 2, 1, 2]}, index=["a.1", "b", "c", "d"])
    with pytest.raises(ValueError, match=r"reset_index\(\)"):
        load_image_folder(root, labels=frame)
    assert len(load_image_folder(root, labels=frame.reset_index()).data) == 4
    frame["label"] = [1, "x", 1, 2]
    with pytest.raises(ValueError, match=r"frame\[column\]\.astype\(str\)"):
        load_image_folder(root, labels=frame.reset_index())
    frame["label"] = frame["label"].astype(str)
    photos = load_image_folder(root, labels=frame.reset_index())
    assert photos.target.tolist() == ["1", "x", "1", "2"]


def test_files_without_a_row_and_rows_without_a_file(root):
    table(root, "id,label\na.1,x\nb,y\n")
    with pytest.warns(ImageFolderWarning, match=r"2 image.*no row(.|\n)*part_2/c") as r:
        assert len(load_image_folder(root, labels="labels.csv").data) == 2
    assert len(r) == 1
    photos = load_image_folder(root, labels="labels.csv", exclude="part_2/*")
    assert photos.target.tolist() == ["x", "y"]
    table(root, ROWS + "e.png,nv\n")
    with pytest.raises(FileNotFoundError, match=r"1 of 5 rows(.|\n)*row 6: 'e\.png'"):
        load_image_folder(root, labels="labels.csv")
    with pytest.warns(ImageFolderWarning, match=r"row 6: 'e\.png'"):
        photos = load_image_folder(root, "skip", labels="labels.csv")
    assert len(photos.data) == 4


def test_a_path_of_another_folder_is_no_match(root):
    table(root, ROWS.replace("c.png", "part_1/c.png"))
    with pytest.raises(FileNotFoundError, match=r"part_1/c\.png"):
        load_image_folder(root, labels="labels.csv")


def test_rows_that_contradict_each_other(root):
    table(root, ROWS + "b,nv\n")
    with pytest.raises(ValueError, match=r"b\.jpg: 'bcc' \(row 5\), 'nv' \(row 6\)"):
        load_image_folder(root, labels="labels.csv")
    table(root, ROWS + "b,bcc\n")
    with pytest.warns(ImageFolderWarning, match=r"1 file.*several rows with one label"):
        assert len(load_image_folder(root, labels="labels.csv").data) == 4


def test_a_name_that_means_several_files(root):
    save(root / "part_2" / "b.png", (1, 1, 1))
    table(root, ROWS.replace("b.jpg", "b"))
    with pytest.raises(ValueError, match=r"name several files(.|\n)*part_1/b\.jpg, "):
        load_image_folder(root, labels="labels.csv")
    photos = load_image_folder(root, labels="labels.csv", exclude="part_2/b.png")
    assert len(photos.data) == 4


def test_unicode_forms(tmp_path):
    on_disk, in_table = (unicodedata.normalize(f, "caf\u00e9") for f in ("NFD", "NFC"))
    save(tmp_path / f"{on_disk}.png")
    save(tmp_path / "b.png", (1, 1, 1))
    table(tmp_path, f"id,label\n{in_table},x\nb,y\n", encoding="utf-8")
    assert len(load_image_folder(tmp_path, labels="labels.csv").data) == 2


def test_tables_that_are_none(root):
    with pytest.raises(FileNotFoundError, match=r"labels='none\.csv' is neither"):
        load_image_folder(root, labels="none.csv")
    (root / "labels.csv").write_bytes("id,label\na.1,\xe4\n".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8"):
        load_image_folder(root, labels="labels.csv")
    for text, message in [
        ("", "expected two or more"),
        ("id\na.1\n", "expected two or more"),
        ("id,label\na.1,x,y\n", r"has 2 columns, and row 2 has 3"),
        ("id,label\nx,y\n", "No column of the table names files"),
        ("id,label\n", "No column of the table names files"),
    ]:
        with pytest.raises(ValueError, match=message):
            load_image_folder(table(root, text), labels="labels.csv")
    with pytest.raises(ValueError, match="without labels="):
        load_image_folder(root, labels="labels.csv", classes=["x"])


def test_damaged_and_equal_files(root):
    (root / "part_2" / "c.png").write_bytes((root / "part_1" / "a.1.png").read_bytes())
    table(root, ROWS)
    with pytest.warns(
        ImageFolderWarning, match=r"more than one class(.|\n)*a\.1\.png ="
    ):
        load_image_folder(root, labels="labels.csv")
    truncate(root / "part_1" / "a.1.png")
    with pytest.raises(UnreadableImageError, match="1 of 4 images"):
        load_image_folder(root, labels="labels.csv")
    (root / "part_1" / "a.1.png").write_text("no image")
    with pytest.raises(UnreadableImageError, match="1 of 4 images"):
        load_image_folder(root, labels="labels.csv")


@pytest.mark.parametrize("label", ["bcc", "3"])
def test_a_class_of_damaged_images(root, label):
    table(root, f"id,label\na.1,1\nb,{label}\nc,2\nd,2\n")
    truncate(root / "part_1" / "b.jpg")
    with pytest.raises(ValueError, match=r"no readable image: .*remove the rows of"):
        load_image_folder(root, "skip", labels="labels.csv")


def test_images_in_the_root_beside_a_table(tmp_path):
    save(tmp_path / "1.png")
    save(tmp_path / "2.png", (1, 1, 1))
    table(tmp_path, "1,x\n2,y\n")
    with pytest.raises(
        ValueError, match=r"no class folders.*pass labels='labels\.csv'"
    ):
        load_image_folder(tmp_path)
    assert len(load_image_folder(tmp_path, labels="labels.csv").data) == 2
