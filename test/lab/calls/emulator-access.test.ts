import type { LookupAddress } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createGuardedLookup } from '../../../src/lab/calls/emulator-access.ts'

/** What a host resolves to, or the message of the refusal. */
function resolved(host: string, addresses: readonly string[]): Promise<unknown> {
  const answer: LookupAddress[] = addresses.map((address) => ({ address, family: 4 }))
  const lookup: LookupFunction = (_host, _options, callback) => callback(null, answer)
  const guarded = createGuardedLookup(['localstack'], lookup)
  return new Promise((resolve) =>
    guarded(host, { all: true }, (error, found) => resolve(error ? error.message : found)),
  )
}

describe('the names of emulators', () => {
  test.each([
    ['localhost', ['127.0.0.1']],
    ['localstack', ['172.18.0.4']],
    ['localstack', ['127.0.0.1', '10.1.2.3']],
  ])('%s resolves to %j', async (host, addresses) => {
    expect(await resolved(host, addresses)).toMatchObject(addresses.map((address) => ({ address })))
  })

  test.each([
    ['localstack', ['52.94.0.1'], '52.94.0.1 is no private address'],
    ['localstack', ['10.1.2.3', '52.94.0.1'], '10.1.2.3, 52.94.0.1 is no private address'],
    ['localstack', ['169.254.169.254'], '169.254.169.254 is no private address'],
    [
      'sqs.us-east-1.amazonaws.com',
      ['10.1.2.3'],
      'the lab calls hosts of SLUICE_LAB_AWS_ENDPOINT_HOSTS alone',
    ],
  ])('%s is refused at %j', async (host, addresses, why) => {
    expect(await resolved(host, addresses)).toBe(`${host} is not called: ${why}`)
  })
})
