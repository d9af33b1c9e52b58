import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'

/**
 * Whatever bytes come, the process stands: requests of every route are changed at random, the same
 * way at each run, and sent to a running `sluice lab`.
 */
const requestCount = 500
const openMax = 20
/** Longer than an answer takes. */
const silenceMs = 150
const answerTimeoutMs = 15_000
/** What the process may keep of 500 requests, with room for what it had not loaded before. */
const keptBytesMax = 64 * 1_048_576

const payload = JSON.stringify({ sql: "SELECT * FROM 'a/#'", actions: [] })
const requests: readonly (readonly [line: string, body?: string])[] = [
  ['POST /rules/some_rule', payload],
  ['PATCH /rules/some_rule', payload],
  ['GET /rules/some_rule'],
  ['GET /rules?topic=a%2Fb&maxResults=10&nextToken=YQ'],
  ['DELETE /rules/some_rule'],
  ['POST /rules/some_rule/enable'],
  ['POST /tags', '{"resourceArn":"arn:aws:iot:us-east-1:000000000000:rule/x","tags":[]}'],
  [
    'POST /destinations',
    '{"destinationConfiguration":{"httpUrlConfiguration":{"confirmationUrl":"https://example.com"}}}',
  ],
  ['GET /destinations?maxResults=10&nextToken=YQ'],
  ['GET /destinations/arn:aws:iot:us-east-1:000000000000:ruledestination/http/x'],
  ['PATCH /destinations', '{"arn":"arn:aws:iot:x","status":"ENABLED"}'],
  ['DELETE /destinations/arn:aws:iot:us-east-1:000000000000:ruledestination/http/x'],
  ['GET /confirmdestination/token'],
  ['GET /endpoint?endpointType=iot:Data-ATS'],
  ['POST /things/t', '{"thingTypeName":"x","attributePayload":{"attributes":{"a":"b"}}}'],
  ['GET /things?maxResults=10&attributeName=a&nextToken=YQ'],
  ['PUT /things/t/principals?thingPrincipalType=EXCLUSIVE_THING'],
  ['POST /certificates', '{"certificateSigningRequest":"-----BEGIN CERTIFICATE REQUEST-----"}'],
  ['POST /certificate/register-no-ca', '{"certificatePem":"-----BEGIN CERTIFICATE-----"}'],
  ['POST /policies/p', '{"policyDocument":"{}"}'],
  ['POST /attached-policies/arn%3Aaws%3Aiot%3Aus-east-1%3A000000000000%3Acert%2Fx?pageSize=1'],
  ['POST /topics/a%2Fb?qos=1&retain=true', '{"temperature": 21.5}'],
  ['GET /retainedMessage/a/b'],
  ['DELETE /connections/c'],
  [
    'POST /v1/evaluate',
    `{"topicRulePayload":${payload},"message":{"topic":"a/b","payload":{"x":[1,2]}}}`,
  ],
  ['POST /v1/check', payload],
  ['POST /v1/lab/faults', '{"times":1,"effect":{"kind":"delay","delayMs":1}}'],
  ['GET /v1/streams/hot-devices/records?position=TRIM_HORIZON&payloads=true'],
  ['PUT /v1/rules/some_rule/delivery', '{"defaults":{"ordering":"strict"}}'],
  ['GET /v1/rules/some_rule/stats'],
  ['POST /v1/dead-letters/replay', '{"how":"asIs"}'],
  ['GET /v1/docs/static/swagger-ui.css'],
  ['GET /v1/openapi.json'],
  ['GET /v1/asyncapi.json'],
]

/** Numbers from 0 to below; the same series for the same seed (a linear congruential generator). */
function createRandom(seed: number) {
  let state = seed
  return (below: number): number => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648
    return Math.floor((state / 2_147_483_648) * below)
  }
}
type Random = ReturnType<typeof createRandom>

const headers: readonly string[] = [
  'Transfer-Encoding: chunked',
  'Content-Length: 99999999999999999999',
  'Content-Length: -1',
  'Expect: 100-continue',
  'Expect: miracles',
  'Upgrade: websocket\r\nConnection: upgrade',
  'x-amz-tagging: %E0%A4%A',
  'x-amz-tagging: __proto__=1&constructor=2',
  'x-amz-mqtt5-user-properties: bnVsbA==',
  'x-amz-mqtt5-correlation-data: ====',
  'authorization: AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;, Signature=',
  'content-type: application/json; charset=utf-16',
  'content-encoding: gzip',
  `x-long: ${'y'.repeat(70_000)}`,
  Array.from({ length: 300 }, () => 'x: 1').join('\r\n'),
]
const inTargets: readonly string[] = [
  '%',
  '%00',
  '%2e%2e/',
  '/../',
  '//',
  '%F0%9F%98%80',
  '\u00ff',
  '?maxResults=-1&retain=maybe&qos=9',
  '&nextToken=%ff',
  '#x',
  '*',
  'a'.repeat(2_000),
  '%2F'.repeat(300),
]
const inBodies: readonly string[] = [
  '\0',
  '{'.repeat(3_000),
  '"'.repeat(3),
  '\u00ff\u00fe',
  '1e309',
  '"__proto__":{},',
  '${topic()}',
  'null',
  '-',
]

const oneOf = (values: readonly string[], random: Random) => values[random(values.length)] ?? ''

function changed(bytes: Buffer, insertion: string, random: Random): Buffer {
  const at = random(bytes.length)
  switch (random(5)) {
    case 0:
      return bytes.subarray(0, at)
    case 1:
      return Buffer.concat([bytes.subarray(at), bytes.subarray(0, at)])
    case 2:
      return Buffer.concat([bytes, bytes.subarray(at)])
    case 3:
      return Buffer.concat([bytes.subarray(0, at), Buffer.from(insertion), bytes.subarray(at)])
    default: {
      const flipped = Buffer.from(bytes)
      for (let count = random(4); count >= 0; count--) flipped[random(bytes.length)] = random(256)
      return flipped
    }
  }
}

/** Changed in its target, body or headers, which HTTP then still reads; or in its bytes. */
function anyRequest(random: Random): Buffer {
  const [line, given = ''] = requests[random(requests.length)] ?? ['GET /']
  const [method = 'GET', target = '/'] = line.split(' ')
  const where = random(4)
  const at = random(target.length)
  const changedTarget = `${target.slice(0, at)}${oneOf(inTargets, random)}${target.slice(at)}`
  const body = Buffer.from(given)
  const sent =
    where === 1 && body.length > 0 ? changed(body, oneOf(inBodies, random), random) : body
  const head = [
    `${method} ${where === 0 ? changedTarget : target} HTTP/1.1`,
    'Host: 127.0.0.1',
    ...(where === 2 ? [oneOf(headers, random)] : []),
    `Content-Length: ${sent.length}`,
    '',
    '',
  ].join('\r\n')
  const bytes = Buffer.concat([Buffer.from(head, 'latin1'), sent])
  return where === 3 ? changed(bytes, `\r\n${oneOf(headers, random)}\r\n`, random) : bytes
}

/**
 * What comes back until the server ends the connection. The client ends its side when it has an
 * answer, or when none comes, because the request is not whole.
 */
async function answerTo(port: number, bytes: Buffer): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  const end = () => {
    socket.setTimeout(answerTimeoutMs, () => {
      socket.destroy(new Error('the server does not end it'))
    })
    socket.end()
  }
  socket.setTimeout(silenceMs).once('timeout', end).once('data', end)
  socket.write(bytes)
  try {
    return (await buffer(socket)).toString('latin1')
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException
    // It was refused while it was still sending.
    if (code === 'ECONNRESET' || code === 'EPIPE') return ''
    throw thrown
  }
}

/** Heads that have no request id, or say that the engine is at fault. */
function faultsIn(answer: string): readonly string[] {
  const heads = answer.match(/^HTTP\/1\.1 [2-5]\d\d [^]*?\r\n\r\n/gm) ?? []
  return heads.filter((head) => !/x-amzn-requestid: /i.test(head) || head.startsWith('HTTP/1.1 5'))
}

async function sendAll(port: number, random: Random): Promise<readonly string[]> {
  const faults: string[] = []
  let left = requestCount
  const sendSome = async () => {
    while (left-- > 0) {
      const bytes = anyRequest(random)
      const found = faultsIn(await answerTo(port, bytes))
      faults.push(...found.map((head) => `${bytes.subarray(0, 200).toString('latin1')}\n${head}`))
    }
  }
  await Promise.all(Array.from({ length: openMax }, sendSome))
  return faults
}

/** Memory that is the process's own; undefined where the system does not say. */
async function ownBytesOf(pid: number | undefined): Promise<number | undefined> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  const kib = /^RssAnon:\s+(\d+) kB$/m.exec(status)?.[1]
  return kib === undefined ? undefined : Number(kib) * 1_024
}

test('the process outlives whatever is sent to it, and keeps nothing of it', async () => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const sluice = startSluice(['lab'], {
    SLUICE_DATA_DIR: path.join(folder.path, 'data'),
    SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
  })
  onTestFinished(async () => {
    sluice.kill('SIGKILL')
    await sluice.ended
  })
  const port = (await sluice.ready())['http'] as number
  const random = createRandom(20_261_120)
  expect(await sendAll(port, random)).toEqual([])
  const before = await ownBytesOf(sluice.pid)
  expect(await sendAll(port, random)).toEqual([])
  const after = await ownBytesOf(sluice.pid)
  expect((after ?? 0) - (before ?? 0)).toBeLessThan(keptBytesMax)

  expect((await fetch(`http://127.0.0.1:${port}/v1/health`)).status).toBe(200)
  expect(sluice.logLines.filter(({ level }) => level === 'error' || level === 'fatal')).toEqual([])
  expect(sluice.stderr()).toBe('')
  sluice.kill('SIGTERM')
  expect(await sluice.ended).toBe(0)
})
