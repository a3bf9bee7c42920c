#!/usr/bin/python3
"""Reads TensorBoard event files with code of its own: record framing and CRC32C written here, messages decoded by
Google's protocol-buffer library from TensorBoard's published field numbers. Prints one line per value:
step TAB tag TAB number, or step TAB tag TAB WIDTHxHEIGHTxCHANNELS of a PNG. Ends with an error on any damage."""

import struct
import sys
import zlib

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory


def crc32c(data):
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def event_class():
    """tensorboard/compat/proto: event.proto and summary.proto, the fields in use."""
    Field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", package="tb", syntax="proto3")

    def message(name, *fields):
        m = file.message_type.add(name=name)
        for number, field, kind, repeated in fields:
            f = m.field.add(name=field, number=number, label=Field.LABEL_REPEATED if repeated else Field.LABEL_OPTIONAL)
            if isinstance(kind, str):
                f.type, f.type_name = Field.TYPE_MESSAGE, ".tb." + kind
            else:
                f.type = kind

    message("Image", (1, "height", Field.TYPE_INT32, False), (2, "width", Field.TYPE_INT32, False),
            (3, "colorspace", Field.TYPE_INT32, False), (4, "encoded", Field.TYPE_BYTES, False))
    message("Value", (1, "tag", Field.TYPE_STRING, False), (2, "simple_value", Field.TYPE_FLOAT, False),
            (4, "image", "Image", False))
    message("Summary", (1, "value", "Value", True))
    message("SourceMetadata", (1, "writer", Field.TYPE_STRING, False))
    message("Event", (1, "wall_time", Field.TYPE_DOUBLE, False), (2, "step", Field.TYPE_INT64, False),
            (3, "file_version", Field.TYPE_STRING, False), (5, "summary", "Summary", False),
            (10, "source_metadata", "SourceMetadata", False))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    event = pool.FindMessageTypeByName("tb.Event")
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(event)
    return message_factory.MessageFactory(pool).GetPrototype(event)  # before protobuf 4.22


def unknown_fields(message):
    try:
        from google.protobuf.unknown_fields import UnknownFieldSet
    except ImportError:  # before protobuf 4.24
        return len(message.UnknownFields())
    return len(UnknownFieldSet(message))


def records(path):
    data = open(path, "rb").read()
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        assert struct.unpack_from("<I", data, at + 8)[0] == masked(data[at:at + 8]), f"{path}: CRC of the length at {at}"
        payload = data[at + 12:at + 12 + length]
        assert len(payload) == length, f"{path}: the record at {at} is cut off"
        (crc,) = struct.unpack_from("<I", data, at + 12 + length)
        assert crc == masked(payload), f"{path}: CRC of the record at {at}"
        yield payload
        at += 16 + length


def png_size(data):
    """Width, height and channels, from the header; every chunk's own CRC is checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG signature"
    at = 8
    kinds = []
    while at < len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4:at + 8 + length]
        assert struct.unpack_from(">I", data, at + 8 + length)[0] == zlib.crc32(body), "CRC of a PNG chunk"
        kinds.append(body[:4])
        if body[:4] == b"IHDR":
            width, height, _, colour = struct.unpack_from(">IIBB", body, 4)
        at += 12 + length
    assert kinds[-1] == b"IEND"
    return width, height, {0: 1, 2: 3, 6: 4}[colour]


def main():
    assert crc32c(b"\0" * 32) == 0x8A9136AA, "RFC 3720"
    assert masked(b"\x1a\x11CRC test, one two") == 0x5794D08A, "TensorBoard's own test"
    Event = event_class()
    for path in sys.argv[1:]:
        for number, payload in enumerate(records(path)):
            event = Event.FromString(payload)
            assert unknown_fields(event) == 0, f"{path}: unknown fields in record {number}"
            assert event.wall_time > 1e9
            if number == 0:
                assert event.file_version == "brain.Event:2" and event.source_metadata.writer == "ldmpi"
                continue
            assert len(event.summary.value) == 1
            for value in event.summary.value:
                shown = repr(value.simple_value)
                if value.HasField("image"):
                    size = png_size(value.image.encoded)
                    assert size == (value.image.width, value.image.height, value.image.colorspace), (size, value.image)
                    shown = "%dx%dx%d" % size
                print(event.step, value.tag, shown, sep="\t")


main()
