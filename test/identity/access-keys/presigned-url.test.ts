import { SignatureV4 } from '@smithy/signature-v4'
import { describe, expect, test } from 'vitest'
import { isPresigned, verifyPresignedUrl } from '../../../src/identity/access-keys/presigned-url.ts'
import { Sha256 } from '../../helpers/presign.ts'

const signedMs = Date.UTC(2026, 0, 1)
const credentials = {
  accessKeyId: 'SLUICEVECTOR',
  secretAccessKey: 'secret-of-the-vector-0123456789',
}
const session = { ...credentials, sessionToken: 'a+token/of==' }
const host = 'broker.example'

/** Made apart from this code, by the steps of the IAM User Guide, for the URL below. */
const vectorSignature = '55e8408190bdf6e2aa9ec0f449f85ecbe1618bead3785d2c6661ff6e2e963eb0'
const vectorQuery = [
  'X-Amz-Algorithm=AWS4-HMAC-SHA256',
  'X-Amz-Credential=SLUICEVECTOR%2F20260101%2Feu-central-1%2Fiotdevicegateway%2Faws4_request',
  'X-Amz-Date=20260101T000000Z',
  'X-Amz-SignedHeaders=host',
  `X-Amz-Signature=${vectorSignature}`,
]
const vector = `/mqtt?${vectorQuery.join('&')}`

/** What the library of AWS's own clients makes, with a period. */
async function presign(given: {
  expiresIn: number
  service?: string
  region?: string
  host?: string
  headers?: Record<string, string>
  sessionToken?: string
}) {
  const { sessionToken } = given
  const signer = new SignatureV4({
    service: given.service ?? 'iotdevicegateway',
    region: given.region ?? 'eu-central-1',
    credentials: { ...credentials, ...(sessionToken !== undefined && { sessionToken }) },
    sha256: Sha256,
    applyChecksum: false,
  })
  const request = {
    method: 'GET',
    protocol: 'wss:',
    hostname: given.host ?? host,
    path: '/mqtt',
    headers: { host: given.host ?? host, ...given.headers },
    query: {},
  }
  const { query = {} } = await signer.presign(request, {
    signingDate: new Date(signedMs),
    expiresIn: given.expiresIn,
    signableHeaders: new Set(Object.keys(given.headers ?? {})),
  })
  const pairs = Object.entries(query).map(
    ([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`,
  )
  return `/mqtt?${pairs.join('&')}`
}

const verify = (
  target: string,
  given: {
    host?: string
    headers?: Record<string, string>
    nowMs?: number
    method?: string
    key?: object | undefined
  } = {},
) =>
  verifyPresignedUrl(
    {
      method: given.method ?? 'GET',
      target,
      headers: { host: given.host ?? host, ...given.headers },
    },
    {
      regions: ['eu-central-1'],
      nowMs: given.nowMs ?? signedMs,
      findKey: (id) =>
        id === credentials.accessKeyId ? { ...credentials, ...given.key } : undefined,
    },
  )
const valid = { isValid: true, accessKeyId: credentials.accessKeyId }

describe('a presigned URL', () => {
  test('opens a WebSocket, as the device SDKs sign it', () => {
    expect(verify(vector)).toEqual(valid)
  })

  test("as the library of AWS's clients signs it", async () => {
    expect(verify(await presign({ expiresIn: 900 }))).toEqual(valid)
  })

  test('whatever the order of its parameters, the case of the host and its port', () => {
    expect(verify(`/mqtt?${vectorQuery.toReversed().join('&')}`)).toEqual(valid)
    expect(verify(vector, { host: 'Broker.Example:8443' })).toEqual(valid)
  })

  test('over the headers that it lists, such as SDKs in C sign it', async () => {
    const headers = { connection: 'Upgrade', upgrade: 'websocket' }
    const target = await presign({ expiresIn: 60, headers })
    expect(decodeURIComponent(target)).toContain('SignedHeaders=connection;host;upgrade')
    expect(verify(target, { headers })).toEqual(valid)
    expect(verify(target, { headers: { ...headers, connection: ' Upgrade ' } })).toEqual(valid)
    expect(verify(target, { headers: { ...headers, connection: 'close' } })).toMatchObject({
      reason: 'mismatch',
    })
    expect(verify(target)).toMatchObject({ reason: 'mismatch' })
  })

  test('for the service of the data plane, and with a session token that is signed', async () => {
    expect(verify(await presign({ expiresIn: 60, service: 'iotdata' }))).toEqual(valid)
    const target = await presign({ expiresIn: 60, sessionToken: session.sessionToken })
    expect(verify(target, { key: session })).toEqual(valid)
    expect(verify(target.replace('token', 'tokem'), { key: session })).toMatchObject({
      reason: 'unknownKey',
    })
  })

  test('with a port that was signed', async () => {
    const target = await presign({ expiresIn: 60, host: 'broker.example:8443' })
    expect(verify(target, { host: 'broker.example:8443' })).toEqual(valid)
    expect(verify(target, { host: 'broker.example:9443' })).toMatchObject({ reason: 'mismatch' })
  })

  test('with a session token, put behind the signature', () => {
    const token = `&X-Amz-Security-Token=${encodeURIComponent(session.sessionToken)}`
    expect(verify(vector + token, { key: session })).toEqual(valid)
    expect(verify(vector, { key: session })).toMatchObject({ reason: 'unknownKey' })
    expect(verify(vector + token)).toMatchObject({ reason: 'unknownKey' })
    expect(verify(`${vector}&X-Amz-Security-Token=other`, { key: session })).toMatchObject({
      reason: 'unknownKey',
    })
    const ended = { ...session, expiresMs: signedMs }
    expect(verify(vector + token, { key: ended })).toMatchObject({ reason: 'expiredToken' })
  })

  test.each<[string, string | undefined, number, boolean]>([
    ['five minutes without a period', undefined, 300_000, true],
    ['no longer', undefined, 300_001, false],
    ['as long as it says', '86400', 86_400_000, true],
    ['no longer than it says', '60', 60_001, false],
    ['from five minutes before', undefined, -300_000, true],
    ['not earlier', undefined, -300_001, false],
  ])('holds %s', async (_name, period, laterMs, holds) => {
    const target = period === undefined ? vector : await presign({ expiresIn: Number(period) })
    const outcome = holds ? valid : { isValid: false, reason: 'skewed' }
    expect(verify(target, { nowMs: signedMs + laterMs })).toMatchObject(outcome)
  })

  test.each<[string, () => Promise<string> | string, string]>([
    ['not signed', () => '/mqtt', 'missing'],
    ['another path', () => vector.replace('/mqtt', '/mqtt/'), 'incomplete'],
    ['a parameter twice', () => `${vector}&X-Amz-Date=20260101T000000Z`, 'incomplete'],
    ['a parameter added', () => `${vector}&a=b`, 'incomplete'],
    ['a parameter in another case', () => vector.replace('X-Amz-Date', 'x-amz-date'), 'incomplete'],
    ['an encoding that is none', () => vector.replace('%2F', '%2'), 'incomplete'],
    ['no date', () => vector.replace(/X-Amz-Date=\w+&/, ''), 'incomplete'],
    ['a date that is none', () => vector.replace('20260101T', '20261301T'), 'incomplete'],
    ['another algorithm', () => vector.replace('SHA256', 'SHA1'), 'incomplete'],
    ['more headers signed', () => vector.replace('=host', '=host%3Bx'), 'mismatch'],
    ['headers out of order', () => vector.replace('=host', '=host%3Bconnection'), 'incomplete'],
    ['a header twice', () => vector.replace('=host', '=host%3Bhost'), 'incomplete'],
    ['without host', () => vector.replace('=host', '=connection'), 'incomplete'],
    ['another scope end', () => vector.replace('aws4_request', 'aws5_request'), 'incomplete'],
    ['too long a period', () => `${vector}&X-Amz-Expires=604801`, 'incomplete'],
    ['a period that was not signed', () => `${vector}&X-Amz-Expires=604800`, 'mismatch'],
    ['a key that nobody has', () => vector.replace('VECTOR', 'NOBODY'), 'unknownKey'],
    ['another date in the scope', () => vector.replace('20260101%2F', '20260102%2F'), 'mismatch'],
    ['another region', () => presign({ expiresIn: 60, region: 'us-east-1' }), 'mismatch'],
    ['another service', () => presign({ expiresIn: 60, service: 'iot' }), 'mismatch'],
    ['another host', () => presign({ expiresIn: 60, host: 'other.example' }), 'mismatch'],
    ['a signature cut short', () => vector.slice(0, -1), 'mismatch'],
    ['a signature changed', () => vector.replace('55e8', '55e9'), 'mismatch'],
    ['too long', () => `${vector}&X-Amz-Security-Token=${'x'.repeat(9_000)}`, 'incomplete'],
  ])('is refused: %s', async (_name, targetOf, reason) => {
    expect(verify(await targetOf())).toMatchObject({ isValid: false, reason })
  })

  test('is refused: another method, another secret', () => {
    expect(verify(vector, { method: 'POST' })).toMatchObject({ reason: 'incomplete' })
    const other = { secretAccessKey: 'x'.repeat(31) }
    expect(verify(vector, { key: other })).toMatchObject({ reason: 'mismatch' })
  })

  test('is told from a URL that does not mean to be one', () => {
    expect(isPresigned(vector)).toBe(true)
    expect(isPresigned('/mqtt')).toBe(false)
    expect(isPresigned('/mqtt?SDK=PythonV2')).toBe(false)
  })
})
