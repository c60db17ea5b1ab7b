"""TFRecords: what goes in comes out, and what is damaged is told."""

import gzip
import struct

import grain
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from minenet.data.formats import (
    LabelledImage,
    deforestation,
    example,
    palette,
    pictures,
    tfrecord,
)
from minenet.data.formats.crc32c import crc32c
from minenet.types import InputError

RECORDS = [b"", b"a", b"mine" * 50]


def library():
    return pytest.importorskip("tfrecord", reason="the oracle needs tfrecord")


def table_crc32c(data):
    """The checksum bit by bit, as it is defined."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
        (b"", 0),
    ],
)
def test_the_checksums_of_the_standard(data, wanted):
    assert crc32c(data) == wanted  # RFC 3720, B.4


@given(st.binary(max_size=300) | st.integers(60, 3000).map(lambda n: bytes(n)))
def test_checksums_of_any_length(data):
    assert crc32c(data) == table_crc32c(data)


@given(st.integers(64, 5000), st.integers(0))
def test_a_changed_bit_changes_a_long_checksum(size, bit):
    data = bytearray(size)
    whole = crc32c(data)
    data[bit // 8 % size] ^= 1 << bit % 8
    assert crc32c(data) != whole


@given(st.lists(st.binary(max_size=200), max_size=5))
def test_records_come_back(tmp_path_factory, records):
    path = tmp_path_factory.mktemp("r") / "a.tfrecord"
    assert tfrecord.write(path, records) == len(records)
    assert list(tfrecord.read(path)) == records


def test_grain_reads_what_is_written(tmp_path):
    tfrecord.write(tmp_path / "a.tfrecord", RECORDS)
    found = grain.experimental.TFRecordIterDataset(str(tmp_path / "a.tfrecord"))
    assert list(found) == RECORDS


def test_gzipped_files_are_read(tmp_path):
    path = tmp_path / "a.tfrecord"
    tfrecord.write(path, RECORDS)
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert list(tfrecord.read(path)) == RECORDS
    path.write_bytes(path.read_bytes()[:-12])
    with pytest.raises(InputError, match=r"a\.tfrecord: cannot be read \("):
        list(tfrecord.read(path))


def test_any_flipped_bit_and_any_truncation_is_told(tmp_path):
    path = tmp_path / "a.tfrecord"
    tfrecord.write(path, RECORDS)
    whole = path.read_bytes()
    ends = np.cumsum([0] + [16 + len(data) for data in RECORDS])
    for i in range(0, len(whole), 5):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 4]) + whole[i + 1 :])
        with pytest.raises(InputError, match=r"a\.tfrecord: record \d at byte"):
            list(tfrecord.read(path))
        path.write_bytes(whole[:i])
        if i not in ends:
            with pytest.raises(InputError, match="the file ends within its"):
                list(tfrecord.read(path))
    path.write_bytes(whole)
    records = tfrecord.read(path)
    assert next(records) == b""


def test_the_record_that_is_damaged_is_named(tmp_path):
    path = tmp_path / "a.tfrecord"
    tfrecord.write(path, RECORDS)
    whole = bytearray(path.read_bytes())
    whole[-9] ^= 1
    path.write_bytes(whole)
    told = r"record 2 at byte 33: the checksum \(CRC-32C\) of its data is wrong"
    with pytest.raises(InputError, match=told):
        list(tfrecord.read(path))
    path.write_bytes(b"not a record at all")
    with pytest.raises(InputError, match="of its length is wrong, so this is no TFRec"):
        list(tfrecord.read(path))
    with pytest.raises(InputError, match="absent: cannot be opened"):
        list(tfrecord.read(tmp_path / "absent"))


def test_a_record_of_absurd_length_is_not_read(tmp_path):
    path = tmp_path / "a.tfrecord"
    length = struct.pack("<Q", 1 << 50)
    path.write_bytes(length + struct.pack("<I", tfrecord.masked(length)) + b"x")
    with pytest.raises(InputError, match="1125899906842624 bytes, where a record may"):
        list(tfrecord.read(path))


FEATURES = st.dictionaries(
    st.text(max_size=9),
    st.lists(st.binary(max_size=40), min_size=1, max_size=3)
    | arrays.arrays(np.float32, st.integers(0, 9))
    | arrays.arrays(np.int64, st.integers(0, 9)),
    max_size=4,
)


def assert_same(found, wanted):
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        if isinstance(value, list):
            assert found[key] == value
        else:
            assert found[key].dtype == value.dtype
            np.testing.assert_array_equal(found[key], value)


@given(FEATURES)
def test_examples_come_back(features):
    assert_same(example.decode(example.encode(features)), features)


@given(FEATURES)
def test_protobuf_reads_and_writes_the_same_examples(features):
    message = message_class()()
    message.ParseFromString(example.encode(features))
    found = {}
    for key, feature in message.features.feature.items():
        kind = feature.WhichOneof("kind")
        dtype = {"float_list": np.float32, "int64_list": np.int64}.get(kind)
        values = list(getattr(feature, kind).value)
        found[key] = values if dtype is None else np.array(values, dtype)
    assert_same(found, features)
    assert_same(example.decode(message.SerializeToString()), features)


def message_class():
    """`tf.train.Example` as protobuf itself makes it from its description."""
    reason = "the oracle needs protobuf"
    pytest.importorskip("google.protobuf", reason=reason)
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    pool = descriptor_pool.Default()
    name = "minenet_test.Example"
    try:
        return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))
    except KeyError:
        pass
    file = descriptor_pb2.FileDescriptorProto(
        name="minenet_test.proto", package="minenet_test", syntax="proto3"
    )

    def message(name, *fields, of=file.message_type):
        made = of.add(name=name)
        for number, (field, kind, label) in enumerate(fields, start=1):
            added = made.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = 11, f".minenet_test.{kind}"
            else:
                added.type = kind
        return made

    for name_, kind in (("BytesList", 12), ("FloatList", 2), ("Int64List", 3)):
        message(name_, ("value", kind, 3))
    feature = message(
        "Feature",
        ("bytes_list", "BytesList", 1),
        ("float_list", "FloatList", 1),
        ("int64_list", "Int64List", 1),
    )
    feature.oneof_decl.add(name="kind")
    for field in feature.field:
        field.oneof_index = 0
    features = message("Features", ("feature", "Features.FeatureEntry", 3))
    entry = message(
        "FeatureEntry", ("key", 9, 1), ("value", "Feature", 1), of=features.nested_type
    )
    entry.options.map_entry = True
    message("Example", ("features", "Features", 1))
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))


def test_lists_that_are_not_packed_and_fields_that_nobody_knows():
    def field(number, data):
        return bytes([number << 3 | 2, len(data)]) + data

    floats = b"".join(b"\x0d" + struct.pack("<f", value) for value in (1.5, -2.0))
    integers = b"\x08\x03\x08" + b"\xff" * 9 + b"\x01"
    strange = field(9, b"xyz") + b"\x50\x05" + b"\x59" + bytes(8)
    entries = [
        field(1, field(1, b"f") + field(2, field(2, floats) + strange)),
        field(1, field(1, b"i") + field(2, strange + field(3, integers))),
    ]
    found = example.decode(strange + field(1, b"".join(entries)))
    assert_same(found, {"f": np.float32([1.5, -2]), "i": np.int64([3, -1])})


@given(st.binary(max_size=60))
def test_bytes_that_are_no_example_are_told_or_empty(data):
    try:
        example.decode(data, name="x.tfrec: record 3")
    except InputError as error:
        assert str(error).startswith("x.tfrec: record 3: not a tf.train.Example (")


def test_values_that_an_example_does_not_hold():
    with pytest.raises(TypeError, match="bytes, floats or integers, got complex"):
        example.encode({"a": [1j]})


def sample(i, classes=3, size=(6, 5)):
    draw = np.random.default_rng(i)
    image = draw.integers(0, 256, (*size, 3)).astype(np.uint8)
    labels = draw.integers(0, classes, size).astype(np.uint8)
    labels[0, 0] = 255
    return LabelledImage(f"s{i}", image, labels)


@pytest.mark.parametrize("classes", [1, 3, 10])
def test_samples_come_back(tmp_path, classes):
    wanted = [sample(i, classes) for i in range(5)]
    paths = deforestation.write(wanted, tmp_path, classes=classes, per_file=2)
    assert [path.rsplit("_")[-1] for path in paths] == [f"{i}.tfrec" for i in (1, 2, 3)]
    found = list(deforestation.read(tmp_path, classes=classes))
    assert [each.name for each in found][:3] == [
        f"tfrecords_v2_part_{name}" for name in ("1_0000", "1_0001", "2_0000")
    ]
    for ours, theirs in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(ours.image, theirs.image)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


def test_another_library_reads_what_is_written(tmp_path):
    other, wanted = library(), sample(1)
    (path,) = deforestation.write([wanted], tmp_path)
    (found,) = other.tfrecord_loader(path, None, {"image": "byte", "mask": "byte"})
    image = pictures.decode(bytes(found["image"]), name=path)
    mask = np.frombuffer(bytes(found["mask"]), np.float32).reshape(6, 5, 3)
    np.testing.assert_array_equal(image, wanted.image)
    assert mask.dtype == np.float32 and not mask[0, 0].any()
    np.testing.assert_array_equal(mask.argmax(-1)[1:], wanted.labels[1:])


def test_what_another_library_writes_is_read(tmp_path):
    other, wanted = library(), sample(1)
    one_hot = np.eye(3, dtype=np.float32)[np.minimum(wanted.labels, 2)]
    path = str(tmp_path / "a.tfrec")
    writer = other.TFRecordWriter(path)
    for _ in range(2):
        writer.write(
            {
                "image": (pictures.encode(wanted.image), "byte"),
                "mask": (one_hot.tobytes(), "byte"),
                "area": ([1.5, 2.5], "float"),
                "year": ([-2019], "int"),
            }
        )
    writer.close()
    found = list(deforestation.read(path))
    assert len(found) == 2
    np.testing.assert_array_equal(found[1].image, wanted.image)
    np.testing.assert_array_equal(found[1].labels, np.minimum(wanted.labels, 2))
    features = example.decode(next(tfrecord.read(path)))
    assert features["area"].tolist() == [1.5, 2.5] and features["year"] == -2019


def test_grey_pictures_become_three_equal_bands(tmp_path):
    grey = np.arange(30, dtype=np.uint8).reshape(6, 5, 1)
    mask = np.zeros((6, 5, 3), np.float32)
    data = example.encode({"image": pictures.encode(grey), "mask": mask.tobytes()})
    tfrecord.write(tmp_path / "a.tfrecord", [data])
    (found,) = deforestation.read(tmp_path)
    np.testing.assert_array_equal(found.image, np.repeat(grey, 3, -1))
    assert (found.labels == 255).all()


def test_examples_that_are_none_of_these(tmp_path):
    good = pictures.encode(sample(1).image)

    def told(match, **features):
        tfrecord.write(tmp_path / "a.tfrec", [example.encode(features)])
        with pytest.raises(InputError, match=r"a\.tfrec: record 0: " + match):
            list(deforestation.read(tmp_path / "a.tfrec"))

    mask = np.zeros((6, 5, 3), np.float32)
    told("needs one byte string 'mask'; it has image", image=good)
    told("needs one byte string 'image'; it has no features")
    told("mask of 8 bytes, expected float32 of 6 x 5 x 3", image=good, mask=b"12345678")
    told("its bytes are no PNG", image=b"x", mask=mask.tobytes())
    mask[0, 0] = 0.5, 0.5, 0
    told("mask is not one-hot", image=good, mask=mask.tobytes())
    mask[0, 0] = 1, 1, 0
    told("mask is not one-hot", image=good, mask=mask.tobytes())
    with pytest.raises(InputError, match=r"no \.tfrec or \.tfrecord files"):
        list(
            deforestation.read(tmp_path.joinpath("empty").mkdir() or tmp_path / "empty")
        )


def test_samples_that_cannot_be_written(tmp_path):
    one = sample(1)
    with pytest.raises(InputError, match="s1: labels 1, 2, where classes are 0 to 0"):
        deforestation.write([one], tmp_path, classes=1)
    with pytest.raises(InputError, match=r"s1: image must be uint8 \[H, W, 3\]"):
        deforestation.write([LabelledImage("s1", one.image[..., :1])], tmp_path)
    with pytest.raises(InputError, match=r"s1: needs labels \[H, W\]"):
        deforestation.write([LabelledImage("s1", one.image)], tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_real_pair_comes_back(real_data, tmp_path):
    pair = real_data / "deforestation_pair"
    (wanted,) = palette.read(
        pair / "image.png", pair / "mask.png", palette.DEFORESTATION
    )
    deforestation.write([wanted], tmp_path)
    (found,) = deforestation.read(tmp_path)
    np.testing.assert_array_equal(found.image, wanted.image)
    np.testing.assert_array_equal(found.labels, wanted.labels)
