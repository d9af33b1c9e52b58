import { describe, expect, test } from 'vitest'
import { md2 } from '../../../src/sql/functions/md2.ts'
import { valueOf, valuesByType } from './value.ts'

describe('md2 has the digests of RFC 1319, appendix A.5', () => {
  test.for([
    ['', '8350e5a3e24c153df2275c9f80692773'],
    ['a', '32ec01ec4a6dac72c0ab96fb34c0b5d1'],
    ['abc', 'da853b0d3f88d99b30283a69e6ded6bb'],
    ['message digest', 'ab4f496bfb2a530b219ff33031fe06b0'],
    ['abcdefghijklmnopqrstuvwxyz', '4e8ddff3650292ab5a4108c3aa47940b'],
    [
      'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789',
      'da33def2a42df13975352846c30338cd',
    ],
    ['1234567890'.repeat(8), 'd5976f79d83d3a0dc9806c3c66f3efd8'],
  ])('%j', ([text = '', digest]) => {
    expect(md2(Buffer.from(text)).toString('hex')).toBe(digest)
  })
})

describe('each digest is of the UTF-8 bytes of the text', () => {
  test.for([
    ["md2('hello')", 'a9046c73e00331af68917d3804f70655'],
    ["md5('hello')", '5d41402abc4b2a76b9719d911017c592'],
    ["md5('€😀')", 'cc6b766e099becf050038ac010aa34cb'],
    ["sha1('hello')", 'aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d'],
    ["sha224('hello')", 'ea09ae9cc6768c50fcee903ed054556e5bfc8347907f12598aa24193'],
    ["sha256('hello')", '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'],
    ["SHA256('')", 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['sha1(5)', 'ac3478d69a3c81fa62e60f5c3696165a4e5e6ac4'],
    ["md5(['a'])", '4c96bbc0e2390918dd50ef8e7eaff6e2'],
    ["md5({'a': 1})", 'bb6cb5c68df4652941caf652a366f2d8'],
  ])('%s', ([expression = '', digest]) => {
    expect(valueOf(expression)).toBe(`"${digest}"`)
  })

  test.for([
    ['md2', 32],
    ['md5', 32],
    ['sha1', 40],
    ['sha224', 56],
    ['sha256', 64],
    ['sha384', 96],
    ['sha512', 128],
  ] as const)('%s has %d digits; Null and Undefined have none', ([name, digits]) => {
    const digest = `"[0-9a-f]{${digits}}"`
    expect(valuesByType(`${name}(x)`)).toMatch(new RegExp(`^(${digest} ){7}- -$`))
    expect(valueOf(`${name}()`)).toBe('')
    expect(valueOf(`${name}('a', 'b')`)).toBe('')
  })

  test('a whole Decimal has the text of the version', () => {
    const payload = '{"d":10.0}'
    expect(valueOf("md5(d) = md5('10')", { payload })).toBe('true')
    expect(valueOf("md5(d) = md5('10.0')", { payload, version: '2015-10-08' })).toBe('true')
  })
})
