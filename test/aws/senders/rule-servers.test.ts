import { describe, expect, test } from 'vitest'
import { verifySignature } from '../../../src/sigv4/verify-signature.ts'
import { definitionOf } from '../../actions/kinds/service-action-fixtures.ts'
import {
  destinationAt,
  openRecordingService,
  outcomesOf,
  queuedRecordsOf,
} from './recording-service.ts'
import type { ServiceAnswer } from './recording-service.ts'

const output = '{"t":1}'
const stored: ServiceAnswer = { body: { result: 'created' } }

/** Sends a document to the server that its rule names. */
async function sendDocument(
  answer: ServiceAnswer,
  {
    ruleHosts,
    host = '127.0.0.1',
    id = '1',
  }: { ruleHosts?: readonly string[]; host?: string; id?: string },
) {
  const service = await openRecordingService(() => answer, { ruleHosts })
  const endpoint = `http://${host}:${new URL(service.endpoint).port}`
  const fields = { endpoint, index: 'i', type: '_doc', id }
  const { records, made } = queuedRecordsOf(definitionOf('openSearch', fields), [{ output }])
  const [record] = made
  if (record === undefined) throw new Error('the action made no record')
  const sender = service.aws.senderFor(destinationAt(undefined, record))
  const outcome = await sender.send(records, new AbortController().signal)
  const message = outcome.answered ? '' : outcome.failure.message
  return { outcomes: outcomesOf(outcome), message, requests: service.requests }
}

describe('a server that a rule names', () => {
  test.each([['127.0.0.1'], ['localhost'], ['[::1]'], ['169.254.169.254'], ['10.1.2.3']])(
    '%s is not called unless it is listed',
    async (host) => {
      const { outcomes, message, requests } = await sendDocument(stored, { host })
      expect(outcomes).toBe('destination EndpointRefused')
      expect(message).toContain('is not called')
      expect(requests).toEqual([])
    },
  )

  test('a link-local address is never called', async () => {
    const host = '169.254.169.254'
    const { outcomes } = await sendDocument(stored, { host, ruleHosts: [host] })
    expect(outcomes).toBe('destination EndpointRefused')
  })

  test.each([
    ['127.0.0.1', '127.0.0.1'],
    ['localhost', 'localhost'],
    ['LOCALHOST', '127.0.0.1'],
  ])('%s is called when %s is listed, and signed for the domain', async (host, listed) => {
    const ruleHosts = [listed, '::1']
    const { outcomes, requests } = await sendDocument(stored, { host, ruleHosts })
    expect(outcomes).toEqual(['ok'])
    const [{ headers } = { headers: undefined }] = requests
    expect(headers?.authorization).toMatch(
      /^AWS4-HMAC-SHA256 Credential=ASIATEST\/\d{8}\/eu-west-1\/es\/aws4_request, SignedHeaders=/,
    )
    expect(headers).toMatchObject({
      'content-type': 'application/json',
      'x-amz-security-token': 'session-1',
    })
  })

  test('a redirection is not followed', async () => {
    const location = '/elsewhere'
    const { outcomes, requests } = await sendDocument(
      { status: 307, headers: { location } },
      { ruleHosts: ['127.0.0.1'] },
    )
    expect(outcomes).toBe('destination Http307')
    expect(requests.length).toBe(1)
  })

  test('an answer that never ends is cut', async () => {
    const { outcomes, message } = await sendDocument(
      { status: 400, body: 'x'.repeat(2_000_000) },
      { ruleHosts: ['127.0.0.1'] },
    )
    expect(outcomes).toBe('record Http400')
    expect(message.length).toBeLessThan(1_000)
  })

  test.each([['1'], ['a/b'], ['ü ä'], ["!'()*~"], ['a+b=c&d?e#f'], ['%2F'], ['...']])(
    'the signature of the document %s is right',
    async (id) => {
      const { requests } = await sendDocument(stored, { id, ruleHosts: ['127.0.0.1'] })
      const [{ operation, headers } = { operation: '', headers: {} }] = requests
      const [method = '', target = ''] = operation.split(' ')
      expect(target).toBe(`/i/_doc/${encodeURIComponent(id)}`)
      const rules = {
        service: 'es',
        regions: ['eu-west-1'],
        nowMs: Date.now(),
        findKey: () => ({ secretAccessKey: 'secret', sessionToken: 'session-1' }),
      }
      const request = { method, target, headers, body: Buffer.from(output) }
      expect(await verifySignature(request, rules)).toMatchObject({ isValid: true })
    },
  )
})
