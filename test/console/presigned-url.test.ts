import { expect, test } from 'vitest'
import { verifyPresignedUrl } from '../../src/identity/access-keys/presigned-url.ts'

/** Not by its name, because the types of browsers are not those of the tests. */
const file: string = '../../console/src/api/sign-request.ts'
const { presignMqttUrl } = (await import(file)) as {
  readonly presignMqttUrl: (url: URL, credentials: object, now: Date) => Promise<string>
}

test('the engine verifies the URL that the page signs for MQTT over WebSocket', async () => {
  const key = { accessKeyId: 'KEY', secretAccessKey: 'the/secret+of=KEY' }
  const now = new Date('2026-01-02T03:04:05.678Z')
  const place = new URL('http://localhost:8080/mqtt')
  const url = new URL(await presignMqttUrl(place, { ...key, region: 'eu-central-1' }, now))
  const request = {
    method: 'GET',
    target: `${url.pathname}${url.search}`,
    headers: { host: url.host },
  }
  const rules = { regions: ['eu-central-1'], nowMs: now.getTime(), findKey: () => key }
  expect(verifyPresignedUrl(request, rules)).toMatchObject({ accessKeyId: 'KEY' })
  const changed = { ...request, headers: { host: 'other:8080' } }
  expect(verifyPresignedUrl(changed, rules)).not.toMatchObject({ accessKeyId: 'KEY' })
})
