"""The gRPC messages of the build under test, as Python classes: from its descriptors, without generated code."""
import os
from pathlib import Path

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

BUILD = Path(os.environ.get("QUILT_BUILD", Path(__file__).resolve().parents[2] / "build"))


def load_pool():
    descriptors = descriptor_pb2.FileDescriptorSet()
    descriptors.ParseFromString((BUILD / "proto/descriptors.binpb").read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in descriptors.file:
        pool.Add(file)
    return pool


POOL = load_pool()


def message_class(name, pool=POOL):
    return message_factory.MessageFactory(pool).GetPrototype(pool.FindMessageTypeByName(name))
