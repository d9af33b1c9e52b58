import type { Mqtt5Properties } from '../../message.ts'
import { property, variableBytes } from './properties.ts'

/** Writes a property block, without its length. Members that are undefined are left out. */
interface PropertyBlock {
  byte(identifier: number, value: number | undefined): PropertyBlock
  two(identifier: number, value: number | undefined): PropertyBlock
  four(identifier: number, value: number | undefined): PropertyBlock
  variable(identifier: number, value: number): PropertyBlock
  text(identifier: number, value: string | undefined): PropertyBlock
  binary(identifier: number, value: Buffer | undefined): PropertyBlock
  pair(identifier: number, pair: readonly [string, string]): PropertyBlock
  /** The bytes of the properties. */
  end(): Buffer
}

export function createPropertyBlock(): PropertyBlock {
  const parts: Buffer[] = []
  const add = (...bytes: readonly (Buffer | number)[]): PropertyBlock => {
    for (const each of bytes) parts.push(typeof each === 'number' ? Buffer.from([each]) : each)
    return block
  }
  const block: PropertyBlock = {
    byte: (identifier, value) => (value === undefined ? block : add(identifier, value)),
    two: (identifier, value) => (value === undefined ? block : add(identifier, unsigned(value, 2))),
    four: (identifier, value) =>
      value === undefined ? block : add(identifier, unsigned(value, 4)),
    variable: (identifier, value) => add(identifier, encodeVariable(value)),
    text: (identifier, value) =>
      value === undefined ? block : add(identifier, withLength(Buffer.from(value))),
    binary: (identifier, value) =>
      value === undefined ? block : add(identifier, withLength(value)),
    pair: (identifier, [key, value]) =>
      add(identifier, withLength(Buffer.from(key)), withLength(Buffer.from(value))),
    end: () => Buffer.concat(parts),
  }
  return block
}

/** The properties of a message that do not change while it waits: all but its expiry. */
export function messageBlock(mqtt5: Mqtt5Properties): Buffer {
  const block = createPropertyBlock()
    .byte(property.payloadFormatIndicator, mqtt5.payloadFormatIndicator)
    .text(property.contentType, mqtt5.contentType)
    .text(property.responseTopic, mqtt5.responseTopic)
    .binary(property.correlationData, mqtt5.correlationData)
  for (const pair of mqtt5.userProperties ?? []) block.pair(property.userProperty, pair)
  return block.end()
}

function unsigned(value: number, bytes: number): Buffer {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

const withLength = (bytes: Buffer): Buffer => Buffer.concat([unsigned(bytes.length, 2), bytes])

export function encodeVariable(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(variableBytes(value))
  writeVariable(bytes, 0, value)
  return bytes
}

/** @returns where the bytes after it begin */
export function writeVariable(bytes: Buffer, at: number, value: number): number {
  let left = value
  for (let index = at; ; index++) {
    const byte = left % 0x80
    left = Math.floor(left / 0x80)
    bytes[index] = left > 0 ? byte | 0x80 : byte
    if (left === 0) return index + 1
  }
}
