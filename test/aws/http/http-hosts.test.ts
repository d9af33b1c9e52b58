import type { LookupFunction } from 'node:net'
import { describe, expect, test } from 'vitest'
import { createHttpHosts } from '../../../src/aws/http/http-hosts.ts'
import { isPublicAddress } from '../../../src/base/private-address.ts'

/** The HTTP action calls no address that only this machine or its network can reach. */

describe('an address of the internet', () => {
  test.each(['1.1.1.1', '8.8.8.8', '2606:4700:4700::1111', '::ffff:8.8.8.8', '64:ff9b::808:808'])(
    '%s',
    (address) => expect(isPublicAddress(address)).toBe(true),
  )

  test.each([
    // This machine.
    '127.0.0.1',
    '127.255.255.254',
    '0.0.0.0',
    '0.1.2.3',
    '::1',
    '::',
    // Private networks, and those of carriers.
    '10.0.0.1',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '100.64.0.1',
    'fc00::1',
    'fdff::1',
    'fec0::1',
    // Links, with the metadata of cloud machines.
    '169.254.169.254',
    'fe80::1',
    'fe80::1%eth0',
    '2606:4700::1%1',
    // Groups, and what nobody has.
    '224.0.0.1',
    '239.255.255.250',
    '255.255.255.255',
    '240.0.0.1',
    'ff02::1',
    '198.18.0.1',
    '203.0.113.7',
    '2001:db8::1',
    // IPv4 inside IPv6, in every spelling.
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '0:0:0:0:0:ffff:10.0.0.1',
    '::FFFF:169.254.169.254',
    '::ffff:0.0.0.0',
    '::127.0.0.1',
    '64:ff9b::7f00:1',
    '64:ff9b::10.0.0.1',
    '64:ff9b:1::a00:1',
    '2002:7f00:1::',
    '2001:0:7f00:1::',
    // No address at all.
    '',
    'localhost',
    '0177.0.0.1',
    '2130706433',
  ])('is not %s', (address) => expect(isPublicAddress(address)).toBe(false))
})

/** Names and what DNS says of them. */
const answersOf =
  (answers: Readonly<Record<string, readonly string[]>>): LookupFunction =>
  (host, _options, callback) => {
    const found = answers[host] ?? []
    callback(
      null,
      found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
    )
  }

const dns = answersOf({
  'public.example': ['93.184.215.14', '2606:2800:21f::1'],
  'inside.example': ['10.0.0.5'],
  'half.example': ['93.184.215.14', '127.0.0.1'],
  'mapped.example': ['::ffff:127.0.0.1'],
  'metadata.example': ['169.254.169.254'],
  localhost: ['127.0.0.1', '::1'],
})

async function outcomeOf(host: string, hosts: readonly string[], isLab = false): Promise<string> {
  const { lookup } = createHttpHosts({ hosts, isLab, lookup: dns }).guard
  return new Promise((resolve) =>
    lookup(host, { all: true }, (error, found) =>
      resolve(
        error ? error.message : (found as { address: string }[]).map((it) => it.address).join(),
      ),
    ),
  )
}

describe('a name is resolved', () => {
  test.each([
    ['public.example', [], '93.184.215.14,2606:2800:21f::1'],
    ['inside.example', ['inside.example'], '10.0.0.5'],
    ['inside.example', ['inside.example:9443'], '10.0.0.5'],
    ['inside.example', ['10.0.0.5'], '10.0.0.5'],
  ])('%s with the list %j', async (host, hosts, expected) => {
    expect(await outcomeOf(host, hosts)).toBe(expected)
  })

  test.each([
    ['inside.example', []],
    ['inside.example', ['other.example']],
    ['half.example', []],
    ['mapped.example', []],
    ['localhost', []],
    ['metadata.example', ['metadata.example']],
    ['metadata.example', ['169.254.169.254']],
  ])('%s is refused with the list %j', async (host, hosts) => {
    expect(await outcomeOf(host, hosts)).toMatch(/it is no address of the internet/)
  })

  test.each([
    ['localhost', [], '127.0.0.1,::1'],
    ['inside.example', ['inside.example'], '10.0.0.5'],
    ['public.example', [], /the lab calls nothing of the internet/],
    ['public.example', ['public.example'], /the lab calls nothing of the internet/],
    ['inside.example', [], /does not list it/],
  ])('in the lab: %s with the list %j', async (host, hosts, expected) => {
    expect(await outcomeOf(host, hosts, true)).toMatch(expected)
  })
})

const problemOf = (url: string, isLab = false, hosts: readonly string[] = []) =>
  createHttpHosts({ hosts, isLab }).urlProblem(url)

describe('the URL of an HTTP action', () => {
  test.each([
    'https://example.com/a?b=c',
    'https://example.com:8443/a',
    'https://example.com:443',
    'https://93.184.215.14/',
  ])('%s', (url) => expect(problemOf(url)).toBeUndefined())

  test.each([
    ['http://example.com/', /begins with https/],
    ['http://127.0.0.1/', /begins with https/],
    ['ftp://example.com/', /begins with https/],
    ['example.com', /begins with https/],
    ['https://', /begins with https/],
    ['https://[2606:4700::1]/', /IPv6/],
    ['https://[::ffff:127.0.0.1]:8443/', /IPv6/],
    ['https://user:secret@example.com/', /use a header/],
    ['https://example.com:8080/', /only 443 and 8443/],
    ['https://10.0.0.1/', /10\.0\.0\.1 is not called: SLUICE_HTTP_ACTION_HOSTS does not list it/],
    ['https://169.254.169.254/', /is not called: it is no address of the internet/],
    ['https://0x7f.1/', /127\.0\.0\.1 is not called/],
    ['https://localhost/', /127\.0\.0\.1 is not called/],
  ])('is not %s', (url, expected) => expect(problemOf(url)).toMatch(expected))

  test.each([
    ['https://10.0.0.1/', '10.0.0.1'],
    ['https://10.0.0.1:9443/', '10.0.0.1:9443'],
    ['https://localhost:9443/', 'localhost:9443'],
    ['https://127.0.0.1/', '127.0.0.1'],
  ])('may be %s where the operator lists %s', (url, host) => {
    expect(problemOf(url, false, [host])).toBeUndefined()
  })

  test('may be any address in the lab, which records what it does not call', () => {
    expect(problemOf('https://10.0.0.1/', true)).toBeUndefined()
  })

  test('may have a port that the operator lists', () => {
    expect(problemOf('https://inside.example:9443/', false, ['inside.example:9443'])).toBe(
      undefined,
    )
    expect(problemOf('https://inside.example:9444/', false, ['inside.example:9443'])).toMatch(
      /9444/,
    )
  })

  test.each(['http://127.0.0.1:3000/hook', 'http://localhost/', 'https://localhost:9443/'])(
    'in the lab: %s',
    (url) => expect(problemOf(url, true)).toBeUndefined(),
  )

  test('in the lab it begins with https:// elsewhere', () => {
    expect(problemOf('http://example.com/', true)).toMatch(/begins with https/)
  })

  test.each([
    ['https://0177.0.0.1/', '127.0.0.1'],
    ['https://0x7f.1/', '127.0.0.1'],
    ['https://2130706433/', '127.0.0.1'],
    ['https://127.1/', '127.0.0.1'],
    ['https://0/', '0.0.0.0'],
  ])('%s is the address %s, which is refused before a connection', (url, address) => {
    const { guard } = createHttpHosts({ hosts: [] })
    expect(new URL(url).hostname).toBe(address)
    expect(() => guard.checkHost(new URL(url).hostname)).toThrow(/it is no address of the internet/)
  })
})
