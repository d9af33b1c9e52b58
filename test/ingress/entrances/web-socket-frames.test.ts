import { describe, expect, test } from 'vitest'
import * as fc from 'fast-check'
import {
  createFrameFollower,
  pieceOverheadBytes,
} from '../../../src/ingress/entrances/web-socket-frames.ts'

interface Frame {
  readonly isFinal: boolean
  readonly isControl: boolean
  readonly length: number
}

/** A masked frame of RFC 6455; a control frame is never in parts. */
function encode({ isFinal, isControl, length }: Frame): Buffer {
  const first = isControl ? 0x89 : isFinal ? 0x82 : 0x02
  const lengths =
    length < 126
      ? [0x80 | length]
      : length < 65_536
        ? [0x80 | 126, length >> 8, length & 255]
        : [0x80 | 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255]
  return Buffer.concat([Buffer.of(first, ...lengths, 1, 2, 3, 4), Buffer.alloc(length, 0xff)])
}

describe('following frames', () => {
  test.each([
    ['a header that is not whole', [0x82], 0, 0],
    ['the beginning of a message', [0x82, 0x85, 0, 0, 0, 0, 1, 2], 2, 0],
    ['a whole message', [0x82, 0x82, 0, 0, 0, 0, 1, 2], 0, 1],
    ['an empty message', [0x82, 0x80, 0, 0, 0, 0], 0, 1],
    ['a message and the beginning of one', [0x82, 0x80, 0, 0, 0, 0, 2, 0x81, 0, 0, 0, 0, 7], 1, 1],
    ['a part of a message', [0x02, 0x81, 0, 0, 0, 0, 7], 1, 0],
    ['a part, and a ping in between', [0x02, 0x81, 0, 0, 0, 0, 7, 0x89, 0x81, 0, 0, 0, 0, 9], 1, 0],
  ])('%s', (_what, bytes, payload, messages) => {
    const follower = createFrameFollower()
    follower.follow(Buffer.from(bytes))
    expect(follower.messages).toBe(messages)
    expect(follower.heldBytes % pieceOverheadBytes).toBe(payload)
  })

  test('however they are cut: what is held is the payload of the message that is not whole', () => {
    const frame = fc.record({
      isFinal: fc.boolean(),
      isControl: fc.boolean(),
      length: fc.oneof(fc.nat(125), fc.nat(300), fc.constantFrom(125, 126, 65_535, 65_536)),
    })
    fc.assert(
      fc.property(
        fc.array(frame, { maxLength: 8 }),
        fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 5 }),
        (given, cuts) => {
          const frames = given.map((each) =>
            each.isControl ? { ...each, length: each.length % 126 } : each,
          )
          const bytes = Buffer.concat(frames.map(encode))
          const follower = createFrameFollower()
          let pieces = 0
          for (let at = 0; at < bytes.length; pieces++) {
            const length = cuts[pieces % cuts.length] ?? 1
            follower.follow(bytes.subarray(at, at + length))
            at += length
          }
          const data = frames.filter(({ isControl }) => !isControl)
          const last = data.findLastIndex(({ isFinal }) => isFinal)
          const open = data.slice(last + 1)
          const payload = open.reduce((sum, { length }) => sum + length, 0)
          expect(follower.messages).toBe(data.filter(({ isFinal }) => isFinal).length)
          expect(follower.heldBytes).toBeGreaterThanOrEqual(payload)
          const overheadMax = (open.length + pieces) * pieceOverheadBytes
          expect(follower.heldBytes).toBeLessThanOrEqual(payload + overheadMax)
        },
      ),
    )
  })
})
