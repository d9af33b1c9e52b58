import { expect, test } from 'vitest'
import { createTrustedProxies, trustedProxiesFault } from '../../src/base/trusted-proxies.ts'

test.each<
  [address: string | undefined, forwardedFor: string | undefined, client: string | undefined]
>([
  ['192.0.2.9', undefined, '192.0.2.9'],
  ['192.0.2.9', '203.0.113.1', '192.0.2.9'],
  ['10.1.2.3', undefined, '10.1.2.3'],
  ['10.1.2.3', '203.0.113.1', '203.0.113.1'],
  ['::ffff:10.1.2.3', '203.0.113.1', '203.0.113.1'],
  ['10.1.2.3', '198.51.100.7, 203.0.113.1', '203.0.113.1'],
  ['10.1.2.3', '198.51.100.7,203.0.113.1, 10.0.0.1,2001:db8::1', '203.0.113.1'],
  ['2001:db8::1', '2001:db8:1::7', '2001:db8:1::7'],
  ['10.1.2.3', '10.9.9.9', '10.9.9.9'],
  ['10.1.2.3', 'unknown', '10.1.2.3'],
  ['10.1.2.3', '203.0.113.1, nonsense, 10.0.0.1', '10.0.0.1'],
  [undefined, '203.0.113.1', undefined],
])('the client of %s with X-Forwarded-For %s is %s', (address, forwardedFor, client) => {
  const proxies = createTrustedProxies(['10.0.0.0/8', '2001:db8::1'])
  expect(proxies.clientOf(address, forwardedFor)).toBe(client)
})

test.each(['10.0.0.0/33', '10.0.0', 'proxy.example', '::1/129', '10.0.0.0/8/8', '10.0.0.0/', ''])(
  '%j is no trusted proxy',
  (entry) => {
    expect(trustedProxiesFault(['127.0.0.1', entry])).toContain(JSON.stringify(entry))
  },
)
