import protobuf from 'protobufjs'
import descriptors from 'protobufjs/ext/descriptor.js'
import type { IFileDescriptorProto, IFileDescriptorSet } from 'protobufjs/ext/descriptor.js'
import { writeJson } from '../sql/values/json-writer.ts'
import { numberFromDouble, numberFromInteger, numberFromText } from '../sql/values/numbers.ts'
import type { Value } from '../sql/values/values.ts'

/**
 * Decodes a message.
 *
 * @throws Error when the bytes are not such a message, or when its JSON is longer than `bytesMax`
 */
export type DecodeMessage = (bytes: Uint8Array, bytesMax: number) => Value

/** How protobufjs represents values for which JavaScript has no exact type. */
const exactly = { longs: String, enums: String, bytes: String }
/** The JSON that lengths are measured in. */
const dialect = {
  version: '2016-03-23',
  isSecondVersion: true,
  wholeDecimalsAreInts: true,
} as const

/**
 * Finds a message type.
 *
 * @param name `protoName`: the file that declares the type, with or without folder and extension;
 *   `messageType`: its name, with or without the package
 * @throws Error when the descriptor lacks it
 */
export type FindMessageType = (name: {
  readonly protoName: string
  readonly messageType: string
}) => DecodeMessage

/**
 * Reads the message types of a descriptor set from `protoc --include_imports --descriptor_set_out`.
 *
 * @throws Error when the bytes are not a descriptor set
 */
export function compileProtobufType(descriptor: Uint8Array): FindMessageType {
  const files = filesOf(descriptor)
  const root = protobuf.Root.fromDescriptor(descriptor, { keepCase: true })
  root.resolveAll()

  return ({ protoName, messageType }) => {
    const file = files.find((each) => isNamed(each.name ?? '', protoName))
    if (file === undefined) throw new Error(`the descriptor has no file ${protoName}`)
    const type = findType(root, file.package ?? '', messageType)
    if (type === undefined) {
      throw new Error(`${file.name ?? protoName} has no message type ${messageType}`)
    }
    return (bytes, bytesMax) => {
      const value = valueOfMessage(type.toObject(type.decode(bytes), exactly), type)
      const text = writeJson(value, dialect, bytesMax)
      if (text !== undefined && Buffer.byteLength(text) <= bytesMax) return value
      throw new Error(`it has more than ${bytesMax} bytes as JSON`)
    }
  }
}

function filesOf(descriptor: Uint8Array): readonly IFileDescriptorProto[] {
  const { FileDescriptorSet } = descriptors
  const set = FileDescriptorSet.toObject(FileDescriptorSet.decode(descriptor))
  return (set as Partial<IFileDescriptorSet>).file ?? []
}

function isNamed(fileName: string, protoName: string): boolean {
  const path = withoutExtension(fileName)
  const wanted = withoutExtension(protoName)
  return path === wanted || path.endsWith(`/${wanted}`)
}

function findType(root: protobuf.Root, packageName: string, name: string) {
  const inPackage = packageName === '' ? name : `${packageName}.${name}`
  for (const path of [inPackage, name]) {
    const found = root.lookup(path.split('.'), [protobuf.Type])
    if (found instanceof protobuf.Type) return found
  }
  return undefined
}

function withoutExtension(name: string): string {
  return name.replace(/\.proto$/, '')
}

type Decoded = Readonly<Record<string, unknown>>

/** Members in the order of the field numbers, without the fields that the message does not hold. */
function valueOfMessage(decoded: Decoded, type: protobuf.Type): Value {
  const members = new Map<string, Value>()
  for (const field of type.fieldsArray.toSorted((left, right) => left.id - right.id)) {
    if (!Object.hasOwn(decoded, field.name)) continue
    members.set(field.name, valueOfField(decoded[field.name], field))
  }
  return members
}

function valueOfField(decoded: unknown, field: protobuf.Field): Value {
  if (field.map) {
    const entries = Object.entries(decoded as Decoded)
    return new Map(entries.map(([key, value]) => [key, valueOfOne(value, field)]))
  }
  if (Array.isArray(decoded)) return decoded.map((each) => valueOfOne(each, field))
  return valueOfOne(decoded, field)
}

function valueOfOne(decoded: unknown, field: protobuf.Field): Value {
  if (field.resolvedType instanceof protobuf.Type) {
    return valueOfMessage(decoded as Decoded, field.resolvedType)
  }
  if (typeof decoded === 'boolean') return decoded
  if (typeof decoded === 'string') return isLong(field) ? numberFromText(decoded) : decoded
  if (typeof decoded !== 'number') return undefined
  // JSON has no NaN and no infinities.
  if (field.type === 'double') return numberFromDouble(decoded)
  if (field.type === 'float') return numberFromDouble(shortestDouble(decoded))
  return numberFromInteger(decoded)
}

const longTypes: ReadonlySet<string> = new Set(['int64', 'uint64', 'sint64', 'fixed64', 'sfixed64'])

function isLong(field: protobuf.Field): boolean {
  return longTypes.has(field.type)
}

/** The number of digits that distinguish any two 32-bit floats. */
const floatDigitsMax = 9

/** The shortest decimal of a 32-bit float: 0.1, not 0.10000000149011612. */
function shortestDouble(float: number): number {
  for (let digits = 1; digits < floatDigitsMax; digits++) {
    const shorter = Number(float.toPrecision(digits))
    if (Math.fround(shorter) === float) return shorter
  }
  return float
}
