/** Descriptor sets as `protoc --include_imports --descriptor_set_out` writes them. */
import protobuf from 'protobufjs'
import descriptors from 'protobufjs/ext/descriptor.js'

/** A set of one file, named `folder/<name>.proto`, with its package in the source. */
export function descriptorOf(source: string, name = 'reading'): Buffer {
  const { root } = protobuf.parse(source, { keepCase: true })
  root.resolveAll()
  const { FileDescriptorSet } = descriptors
  const set = FileDescriptorSet.toObject(root.toDescriptor('proto3')) as {
    file: { name: string }[]
  }
  for (const file of set.file) file.name = `folder/${name}.proto`
  return Buffer.from(FileDescriptorSet.encode(FileDescriptorSet.fromObject(set)).finish())
}

/** The bytes of a message; 64-bit numbers are given as texts. */
export function encoded(source: string, typeName: string, message: object): Buffer {
  const { root } = protobuf.parse(source, { keepCase: true })
  const type = root.lookupType(typeName)
  return Buffer.from(type.encode(type.fromObject(message)).finish())
}

export const readingProto = `
  syntax = "proto3";
  package fleet.v1;
  enum Mode { OFF = 0; HEAT_UP = 1; }
  message Point { double x = 1; float y_value = 2; }
  message Reading {
    string device_id = 1;
    int64 sequence = 2;
    uint64 total = 3;
    repeated Point points = 4;
    map<string, int64> counts = 5;
    map<int64, string> names = 6;
    bytes raw = 7;
    Mode mode = 8;
    oneof value { bool flag = 9; sint32 delta = 10; }
    repeated Mode modes = 11;
    optional int32 offset = 12;
    message Inner { fixed64 f = 1; }
    Inner inner = 13;
    sfixed64 s = 14;
  }
`
