import { expect, test } from 'vitest'
import { createMemoryLogger } from '../../src/telemetry/telemetry.ts'

test('secrets are taken out of what is logged by mistake', () => {
  const lines: unknown[] = []
  const logger = createMemoryLogger((line) => lines.push(line))
  const headers = { authorization: 'secret-1', 'x-amz-security-token': 'secret-2', host: 'h' }
  const key = { accessKeyId: 'id', secretAccessKey: 'secret-3', sessionToken: 'secret-4' }
  logger.info({ ...headers, ...key }, 'a')
  logger.info({ headers, key }, 'b')
  logger.warn({ request: { headers }, error: { request: { headers } } }, 'c')
  logger.error({ config: { auth: { metricsToken: 'secret-5' } }, password: 'secret-6' }, 'd')
  expect(lines).toHaveLength(4)
  expect(JSON.stringify(lines)).not.toContain('secret-')
  expect(JSON.stringify(lines)).toContain('[redacted]')
})
