import * as fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { pkcs12Certificates } from '../../src/kafka/pkcs12-certificates.ts'

const read = (name: string) => readFileSync(new URL(`stores/${name}`, import.meta.url))
const certificate = read('broker.pem').toString()
const password = 'the-password'

function readOrError(store: Buffer): unknown {
  try {
    return pkcs12Certificates(store, password)
  } catch (thrown) {
    return thrown
  }
}

const isListOrError = (result: unknown) => Array.isArray(result) || result instanceof Error

describe('the certificates of a trust store', () => {
  test.each(['java-17.p12', 'openssl-3.p12'])('%s', (name) => {
    expect(pkcs12Certificates(read(name), password)).toEqual([certificate])
  })

  test('with a wrong password', () => {
    expect(() => pkcs12Certificates(read('java-17.p12'), 'other')).toThrow('the password is wrong')
  })

  test('with the encryption of earlier releases', () => {
    expect(() => pkcs12Certificates(read('openssl-1.p12'), password)).toThrow(
      /encryption is too old: write it anew with keytool of Java 17/,
    )
  })

  test('that is damaged anywhere', () => {
    const store = read('openssl-3.p12')
    const at = fc.integer({ min: 0, max: store.length - 1 })
    fc.assert(
      fc.property(at, fc.integer({ min: 0, max: 255 }), fc.boolean(), (place, byte, isCut) => {
        const damaged = Buffer.from(isCut ? store.subarray(0, place) : store)
        if (!isCut) damaged[place] = byte
        expect(readOrError(damaged)).toSatisfy(isListOrError)
      }),
      { numRuns: 300 },
    )
  })
})
