import { execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import * as fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { createLabFunctions } from '../../src/external/lab-functions.ts'
import { createProtobufDecoder } from '../../src/external/protobuf-decoder.ts'
import { compileProtobufType } from '../../src/external/protobuf-type.ts'
import { jsonText } from '../helpers/json-text.ts'
import type { ExternalRequest } from '../../src/sql/sql.ts'
import { createManualClock } from '../helpers/manual-clock.ts'
import { descriptorOf, encoded, readingProto } from './descriptors.ts'

const dialect = {
  version: '2016-03-23',
  isSecondVersion: true,
  wholeDecimalsAreInts: true,
} as const
const bytesMax = 128 * 1024
const reading = { protoName: 'reading', messageType: 'Reading' }
const descriptor = descriptorOf(readingProto)

function decoded(message: object, name = reading): string {
  const decode = compileProtobufType(descriptor)(name)
  return jsonText(decode(encoded(readingProto, 'fleet.v1.Reading', message), bytesMax), dialect)
}

describe('a message as JSON', () => {
  test.for<[string, object, string]>([
    ['nothing is set', {}, '{}'],
    ['names as in the file', { device_id: 'd' }, '{"device_id":"d"}'],
    ['the largest int64', { sequence: '9223372036854775807' }, '{"sequence":9223372036854775807}'],
    [
      'the smallest int64',
      { sequence: '-9223372036854775808' },
      '{"sequence":-9223372036854775808}',
    ],
    ['the largest uint64', { total: '18446744073709551615' }, '{"total":18446744073709551615}'],
    ['fixed64', { inner: { f: '9007199254740993' } }, '{"inner":{"f":9007199254740993}}'],
    ['sfixed64', { s: '-1' }, '{"s":-1}'],
    [
      'float and double',
      { points: [{ x: 0.1, y_value: 0.1 }] },
      '{"points":[{"x":0.1,"y_value":0.1}]}',
    ],
    ['a whole double', { points: [{ x: 2 }] }, '{"points":[{"x":2}]}'],
    ['NaN and infinity', { points: [{ x: Number.NaN }, { x: Infinity }] }, '{"points":[{},{}]}'],
    ['a map', { counts: { a: '-9007199254740993' } }, '{"counts":{"a":-9007199254740993}}'],
    [
      'a map with numbers as keys',
      { names: { '9007199254740993': 'n' } },
      '{"names":{"9007199254740993":"n"}}',
    ],
    ['bytes', { raw: Buffer.from([0, 255]) }, '{"raw":"AP8="}'],
    ['an enum', { mode: 1, modes: [0, 1] }, '{"mode":"HEAT_UP","modes":["OFF","HEAT_UP"]}'],
    ['an enum that the file does not know', { mode: 7 }, '{"mode":7}'],
    ['oneof', { delta: -3 }, '{"delta":-3}'],
    ['an optional field with its default', { offset: 0 }, '{"offset":0}'],
    [
      'fields in the order of their numbers',
      { mode: 1, device_id: 'd' },
      '{"device_id":"d","mode":"HEAT_UP"}',
    ],
    ['a text of digits', { device_id: '007' }, '{"device_id":"007"}'],
  ])('%s', ([, message, json]) => {
    expect(decoded(message)).toBe(json)
  })

  test.for([
    { protoName: 'reading', messageType: 'Reading' },
    { protoName: 'reading.proto', messageType: 'fleet.v1.Reading' },
    { protoName: 'folder/reading', messageType: 'Reading' },
  ])('the type is found as $protoName, $messageType', (name) => {
    expect(decoded({ device_id: 'd' }, name)).toBe('{"device_id":"d"}')
  })

  test('a nested type is found by its path', () => {
    const decode = compileProtobufType(descriptor)({ ...reading, messageType: 'Reading.Inner' })
    expect(jsonText(decode(Buffer.from([]), bytesMax), dialect)).toBe('{}')
  })

  test('any bytes are a message or an error', () => {
    const decode = compileProtobufType(descriptor)(reading)
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        let outcome: string
        try {
          outcome = jsonText(decode(bytes, bytesMax), dialect)
        } catch (thrown) {
          outcome = String(thrown)
        }
        expect(outcome).toMatch(/^(\{|\w*Error: )/)
      }),
    )
  })
})

describe('decode', () => {
  const request = {
    function: 'decode',
    base64: encoded(readingProto, 'fleet.v1.Reading', { device_id: 'd' }).toString('base64'),
    bucketName: 'bucket',
    objectKey: 'a/reading.desc',
    ...reading,
  } as const satisfies ExternalRequest
  const folders: string[] = []
  const never = new AbortController().signal

  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
  })

  async function protoDir(): Promise<string> {
    const folder = await mkdtemp(path.join(tmpdir(), 'sluice-proto-'))
    folders.push(folder)
    await mkdir(path.join(folder, 'bucket/a'), { recursive: true })
    await writeFile(path.join(folder, 'bucket/a/reading.desc'), descriptor)
    await writeFile(path.join(folder, 'bucket/large.desc'), Buffer.alloc(32 * 1024 + 1))
    await writeFile(path.join(folder, 'bucket/bad.desc'), Buffer.from([0xff, 0xff]))
    execFileSync('mkfifo', [path.join(folder, 'bucket/pipe')])
    return folder
  }

  test('reads the descriptor from the folder in the lab', async () => {
    const call = labFunctions(await protoDir())
    expect(jsonText(await call(request, never), dialect)).toBe('{"device_id":"d"}')
  })

  test.for<[string, Partial<typeof request> | Record<string, string>, RegExp]>([
    ['no descriptor', { objectKey: 'none' }, /bucket\/none does not exist/],
    ['a pipe without a writer', { objectKey: 'pipe' }, /bucket\/pipe is not a regular file/],
    ['a descriptor that is too large', { objectKey: 'large.desc' }, /at most 32768 are read/],
    ['bytes that are not a descriptor', { objectKey: 'bad.desc' }, /./],
    [
      'a key that leaves the folder',
      { bucketName: '..', objectKey: 'x' },
      /not in SLUICE_PROTO_DIR/,
    ],
    ['an unknown file', { protoName: 'other' }, /no file other/],
    ['an unknown type', { messageType: 'Other' }, /no message type Other/],
    ['a value that is not base64', { base64: 'a b' }, /not base64/],
    ['bytes that are not the message', { base64: '//8=' }, /the message is not a Reading/],
    [
      'a message that is too large',
      { base64: Buffer.alloc(128 * 1024 + 1).toString('base64') },
      /more than 131072 bytes/,
    ],
    [
      'a result that is too large',
      {
        base64: encoded(readingProto, 'fleet.v1.Reading', {
          raw: Buffer.alloc(120 * 1024),
        }).toString('base64'),
      },
      /more than 131072 bytes as JSON/,
    ],
  ])('fails for %s', async ([, change, reason]) => {
    const call = labFunctions(await protoDir())
    await expect(call({ ...request, ...change }, never)).rejects.toThrow(reason)
  })

  test('caches a descriptor for a while, and a failure not at all', async () => {
    const clock = createManualClock()
    let reads = 0
    const decode = createProtobufDecoder(
      async () => {
        reads += 1
        if (reads === 1) throw new Error('not there yet')
        return descriptor
      },
      { clock },
    )
    await expect(decode(request)).rejects.toThrow('not there yet')
    await Promise.all([decode(request), decode(request)])
    clock.advance(4 * 60_000)
    await decode(request)
    expect(reads).toBe(2)
    clock.advance(2 * 60_000)
    await decode(request)
    expect(reads).toBe(3)
  })

  test('says that there is no folder of descriptors', async () => {
    await expect(labFunctions(undefined)(request, never)).rejects.toThrow('SLUICE_PROTO_DIR')
  })
})

function labFunctions(protoDir: string | undefined) {
  const clock = createManualClock()
  return createLabFunctions(
    { clock, invokeFunction: () => Promise.reject(new Error()), emulatorFor: () => undefined },
    { protoDir, stubsDir: '/nowhere' },
  )
}
