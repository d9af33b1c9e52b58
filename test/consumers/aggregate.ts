import { createHash } from 'node:crypto'
import protobuf from 'protobufjs/minimal.js'

export interface Part {
  readonly key: string
  readonly text: string
  readonly explicitHashKey?: string
}

/** An aggregated record as the Kinesis Producer Library writes it. */
export function aggregate(parts: readonly Part[]): Buffer {
  const keys = [...new Set(parts.map(({ key }) => key))]
  const hashKeys = [...new Set(parts.flatMap(({ explicitHashKey }) => explicitHashKey ?? []))]
  const writer = protobuf.Writer.create()
  for (const key of keys) writer.uint32(10).string(key)
  for (const hashKey of hashKeys) writer.uint32(18).string(hashKey)
  for (const { key, text, explicitHashKey } of parts) {
    const part = writer.uint32(26).fork()
    part.uint32(8).uint64(keys.indexOf(key))
    if (explicitHashKey !== undefined) part.uint32(16).uint64(hashKeys.indexOf(explicitHashKey))
    part.uint32(26).bytes(Buffer.from(text)).ldelim()
  }
  const message = Buffer.from(writer.finish())
  const digest = createHash('md5').update(message).digest()
  return Buffer.concat([Buffer.from('f3899ac2', 'hex'), message, digest])
}
