import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c } from '../../src/base/crc32c.ts'

/** RFC 3720, B.4, and the check value of the catalogue of parametrised CRC algorithms. */
test.each([
  ['123456789', Buffer.from('123456789'), 0xe3069283],
  ['32 zeros', Buffer.alloc(32), 0x8a9136aa],
  ['32 ones', Buffer.alloc(32, 0xff), 0x62a8ab43],
  ['ascending bytes', Buffer.from(Array.from({ length: 32 }, (_, index) => index)), 0x46dd794e],
  ['nothing', Buffer.alloc(0), 0],
])('of %s is the published one', (_, bytes, checksum) => {
  expect(crc32c(bytes)).toBe(checksum)
})

test('goes on from the checksum of what stands before', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(100), (bytes, cut) => {
      const end = Math.min(cut, bytes.length)
      const first = crc32c(bytes, 0, end)
      expect(crc32c(bytes, end, bytes.length, first)).toBe(crc32c(bytes))
    }),
  )
})
