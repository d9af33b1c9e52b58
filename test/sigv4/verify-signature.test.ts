import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { verifySignature } from '../../src/sigv4/verify-signature.ts'
import type {
  RefusalReason,
  SignatureRules,
  SignedRequest,
  SigningKey,
} from '../../src/sigv4/verify-signature.ts'
import { sign } from './sign.ts'
import type { Signing } from './sign.ts'

const nowMs = Date.UTC(2015, 7, 30, 12, 36, 0)
const signedAt = '20150830T123600Z'
const accessKeyId = 'AKIDEXAMPLE'
const secretAccessKey = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
const signing: Signing = { accessKeyId, secretAccessKey, region: 'us-east-1', service: 'kinesis' }
const session: SigningKey = {
  secretAccessKey: 'other',
  sessionToken: 'token',
  expiresMs: nowMs + 1,
}

const rules = (changes: Partial<SignatureRules> = {}): SignatureRules => ({
  service: 'kinesis',
  regions: ['us-east-1'],
  nowMs,
  findKey: (id) =>
    id === accessKeyId ? { secretAccessKey } : id === 'ASIASESSION' ? session : undefined,
  ...changes,
})

const bare: SignedRequest = {
  method: 'POST',
  target: '/',
  headers: {
    host: 'kinesis.us-east-1.amazonaws.com',
    'x-amz-date': signedAt,
    'x-amz-target': 'Kinesis_20131202.PutRecord',
  },
  body: Buffer.from('{"StreamName":"s"}'),
}
const withHeaders = (headers: SignedRequest['headers'], base = bare): SignedRequest => ({
  ...base,
  headers: { ...base.headers, ...headers },
})

describe('signatures that AWS has published', () => {
  const empty = Buffer.of()
  test.each<[what: string, service: string, request: SignedRequest]>([
    [
      'the example of the IAM User Guide',
      'iam',
      {
        method: 'GET',
        target: '/?Action=ListUsers&Version=2010-05-08',
        headers: {
          host: 'iam.amazonaws.com',
          'content-type': 'application/x-www-form-urlencoded; charset=utf-8',
          'x-amz-date': signedAt,
          authorization:
            'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, ' +
            'SignedHeaders=content-type;host;x-amz-date, ' +
            'Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7',
        },
        body: empty,
      },
    ],
    [
      'get-vanilla of the test suite',
      'service',
      {
        method: 'GET',
        target: '/',
        headers: {
          host: 'example.amazonaws.com',
          'x-amz-date': signedAt,
          authorization:
            'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,' +
            'SignedHeaders=host;x-amz-date,' +
            'Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
        },
        body: empty,
      },
    ],
  ])('%s', async (_what, service, request) => {
    expect(await verifySignature(request, rules({ service }))).toEqual({
      isValid: true,
      accessKeyId,
    })
  })
})

/** Blanks, empty parameters and the case of names mean nothing. */
const means = (header: string) => header.replaceAll(/[\s,]+/g, '').toLowerCase()

describe('whatever is sent,', () => {
  const segment = fc.string({ unit: 'binary', minLength: 1, maxLength: 8 }).map(encodeURIComponent)
  const path = fc
    .array(
      segment.filter((text) => text !== '.' && text !== '..'),
      { maxLength: 4 },
    )
    .map((segments) => `/${segments.join('/')}`)
  const pair = fc
    .tuple(segment, fc.string({ unit: 'binary', maxLength: 8 }))
    .filter(([name]) => !/^(?:x-amz-signature|__proto__)$/i.test(name))
    .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
  const request = fc.record({
    method: fc.constantFrom('GET', 'POST', 'PUT', 'DELETE'),
    target: fc
      .tuple(path, fc.array(pair, { maxLength: 4 }))
      .map(([start, query]) => (query.length > 0 ? `${start}?${query.join('&')}` : start)),
    headers: fc
      .dictionary(
        fc.stringMatching(/^x-amz-meta-[a-z]{1,5}$/),
        fc.stringMatching(/^[!-~][ -~]{0,10}$/),
        { maxKeys: 3 },
      )
      .map((more) => ({ ...bare.headers, ...more })),
    body: fc.uint8Array({ maxLength: 64 }),
  })

  test('its signature holds, raw path and raw bytes', async () => {
    await fc.assert(
      fc.asyncProperty(request, async (given) => {
        expect(await verifySignature(sign(given, signing), rules())).toMatchObject({
          isValid: true,
        })
      }),
    )
  })

  test('a header of the signature that is changed anywhere is refused, and never thrown at', async () => {
    const place = fc.record({
      name: fc.constantFrom('authorization', 'x-amz-date', 'host'),
      at: fc.nat(400),
      cut: fc.nat(3),
      put: fc.string({ unit: 'binary', maxLength: 12 }),
    })
    await fc.assert(
      fc.asyncProperty(request, place, async (given, { name, at: position, cut, put }) => {
        const { headers, ...sent } = sign(given, signing)
        const value = String(headers[name])
        const index = position % value.length
        const changed = value.slice(0, index) + put + value.slice(index + cut)
        fc.pre(means(changed) !== means(value))
        const verified = await verifySignature(
          { ...sent, headers: { ...headers, [name]: changed } },
          rules(),
        )
        expect(verified).toMatchObject({
          isValid: false,
          reason: expect.stringMatching(/^[a-zA-Z]+$/) as string,
        })
      }),
      { numRuns: 500 },
    )
  })

  test.each<[what: string, change: (given: SignedRequest) => SignedRequest]>([
    ['method', (given) => ({ ...given, method: `${given.method}X` })],
    ['path', (given) => ({ ...given, target: `/x${given.target}` })],
    [
      'query',
      (given) => ({
        ...given,
        target: `${given.target}${given.target.includes('?') ? '&' : '?'}x=1`,
      }),
    ],
    ['body', (given) => ({ ...given, body: Buffer.concat([given.body, Buffer.of(0)]) })],
    ['operation', (given) => withHeaders({ 'x-amz-target': 'Kinesis_20131202.Other' }, given)],
    ['host', (given) => withHeaders({ host: 'example.com' }, given)],
    ['a header more', (given) => withHeaders({ 'x-amz-more': '1' }, given)],
    ['time', (given) => withHeaders({ 'x-amz-date': '20150830T123601Z' }, given)],
  ])('it does not hold for another %s', async (_what, change) => {
    await fc.assert(
      fc.asyncProperty(request, async (given) => {
        expect(await verifySignature(change(sign(given, signing)), rules())).toMatchObject({
          isValid: false,
          reason: 'mismatch',
        })
      }),
      { numRuns: 20 },
    )
  })
})

describe('refused is', () => {
  const signed = sign(bare, signing)
  const authorized = (authorization: string) => withHeaders({ authorization })
  const asSession = { ...signing, accessKeyId: 'ASIASESSION', secretAccessKey: 'other' }
  const withToken = withHeaders({ 'x-amz-security-token': 'token' })
  const at = (time: string) => sign(withHeaders({ 'x-amz-date': time }), signing)
  const { authorization: _, ...unsigned } = signed.headers

  test.each<[what: string, request: SignedRequest, reason: RefusalReason, message: RegExp]>([
    ['no signature', { ...signed, headers: unsigned }, 'missing', /missing Authentication Token/],
    [
      'another scheme',
      authorized('Bearer x'),
      'incomplete',
      /requires 'Credential' .*'Signature' .*'SignedHeaders'/,
    ],
    [
      'half a header',
      authorized('AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request, SignedHeaders=host'),
      'incomplete',
      /^Authorization header requires 'Signature' parameter\.$/,
    ],
    [
      'a short credential',
      authorized('AWS4-HMAC-SHA256 Credential=a/b/c, SignedHeaders=host, Signature=0'),
      'incomplete',
      /exactly 5 slash-delimited elements.*got 'a\/b\/c'/,
    ],
    [
      'no time',
      { ...signed, headers: { ...signed.headers, 'x-amz-date': undefined } },
      'incomplete',
      /X-Amz-Date/,
    ],
    [
      'a time that is none',
      withHeaders({ 'x-amz-date': '20159930T123600Z' }, signed),
      'incomplete',
      /ISO-8601/,
    ],
    [
      'a key that nobody has',
      sign(bare, { ...signing, accessKeyId: 'AKIDOTHER' }),
      'unknownKey',
      /token .* is invalid/,
    ],
    [
      'another secret',
      sign(bare, { ...signing, secretAccessKey: 'guess' }),
      'mismatch',
      /does not match/,
    ],
    [
      'a signature that is no hash',
      authorized(String(signed.headers['authorization']).slice(0, -1)),
      'mismatch',
      /does not match/,
    ],
    ['a session without its token', sign(bare, asSession), 'unknownKey', /token .* is invalid/],
    [
      'a session with another token',
      sign(withHeaders({ 'x-amz-security-token': 'x' }), asSession),
      'unknownKey',
      /token .* is invalid/,
    ],
    [
      'a token with a key that has none',
      sign(withToken, signing),
      'unknownKey',
      /token .* is invalid/,
    ],
    [
      'another region',
      sign(bare, { ...signing, region: 'eu-west-1' }),
      'mismatch',
      /valid region, not 'eu-west-1'/,
    ],
    [
      'another service',
      sign(bare, { ...signing, service: 'sts' }),
      'mismatch',
      /correct service: 'kinesis'/,
    ],
    [
      'another date in the scope',
      sign(bare, { ...signing, scopeDate: '20150829' }),
      'mismatch',
      /'20150829' != '20150830'/,
    ],
    [
      'a date in the scope that is cut short',
      withHeaders(
        {
          authorization: String(signed.headers['authorization']).replace('/20150830/', '/201508/'),
        },
        signed,
      ),
      'mismatch',
      /'201508' != '20150830'/,
    ],
    [
      '5 minutes and a second ago',
      at('20150830T123059Z'),
      'skewed',
      /^Signature expired: 20150830T123059Z is now earlier than 20150830T123100Z \(20150830T123600Z - 5 min\.\)$/,
    ],
    [
      '5 minutes and a second ahead',
      at('20150830T124101Z'),
      'skewed',
      /^Signature not yet current: 20150830T124101Z is still later than 20150830T124100Z \(20150830T123600Z \+ 5 min\.\)$/,
    ],
    [
      'a host that is not signed',
      sign(bare, { ...signing, signedHeaders: ['x-amz-date', 'x-amz-target'] }),
      'mismatch',
      /'Host'/,
    ],
    [
      'an operation that is not signed',
      sign(bare, { ...signing, signedHeaders: ['host', 'x-amz-date'] }),
      'mismatch',
      /x-amz-target is not one of the SignedHeaders/,
    ],
    [
      'the hash of another body',
      sign(withHeaders({ 'x-amz-content-sha256': '0'.repeat(64) }), signing),
      'mismatch',
      /SHA-256 of the body/,
    ],
    [
      'an unsigned payload',
      sign(withHeaders({ 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' }), signing),
      'mismatch',
      /SHA-256 of the body/,
    ],
    [
      'a query that cannot be decoded',
      { ...signed, target: '/?a=%zz' },
      'mismatch',
      /does not match/,
    ],
    [
      'a parameter that no signature covers',
      { ...signed, target: '/?X-Amz-Signature=0' },
      'mismatch',
      /does not match/,
    ],
  ])('%s', async (_what, request, reason, message) => {
    expect(await verifySignature(request, rules())).toEqual({
      isValid: false,
      reason,
      message: expect.stringMatching(message) as string,
    })
  })

  test('a session that is over, from its last millisecond on', async () => {
    const request = sign(withToken, asSession)
    expect(await verifySignature(request, rules())).toMatchObject({ isValid: true })
    expect(await verifySignature(request, rules({ nowMs: nowMs + 1 }))).toMatchObject({
      reason: 'expiredToken',
    })
  })

  test.each(['20150830T123100Z', '20150830T124100Z'])('but not 5 minutes: %s', async (time) => {
    expect(await verifySignature(at(time), rules())).toMatchObject({ isValid: true })
  })
})

test('of HTTP/2, `:authority` is the host', async () => {
  const { host, ...headers } = bare.headers
  const named = { ...bare, headers: { ...headers, ':authority': host } }
  const asHost = { ...named, headers: { ...sign(bare, signing).headers, ...named.headers } }
  for (const request of [sign(named, signing), asHost]) {
    expect(await verifySignature(request, rules())).toMatchObject({ isValid: true })
  }
})
