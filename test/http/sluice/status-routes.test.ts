import { expect, test } from 'vitest'
import { startServer } from '../http-fixtures.ts'

test('GET /v1/live answers while the engine is starting', async () => {
  const { url } = await startServer({ dependencies: { health: () => ({ status: 'starting' }) } })
  const answer = await fetch(`${url}/v1/live`)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect([answer.status, await answer.json()]).toEqual([200, { status: 'live' }])
})

test('PUT /v1/log-level tells the level before and after', async () => {
  const { url } = await startServer()
  const put = async (body: unknown) => {
    const init = { method: 'PUT', body: JSON.stringify(body) }
    return (await fetch(`${url}/v1/log-level`, init)).json()
  }
  expect(await put({ level: 'debug' })).toEqual({ before: 'info', level: 'debug' })
  const untilMs = 1_700_000_000_123 + 5_000
  const limited = await put({ level: 'warn', forSeconds: 5 })
  expect(limited).toEqual({ before: 'debug', level: 'warn', untilMs })
  const read = await fetch(`${url}/v1/log-level`)
  expect(await read.json()).toEqual({ level: 'warn', untilMs })
  expect(await put({ level: 'info' })).toEqual({ before: 'warn', level: 'info' })
})

test('GET /v1/metrics has those of the process', async () => {
  const { url } = await startServer()
  const text = await (await fetch(`${url}/v1/metrics`)).text()
  for (const name of ['sluice_build_info{version=', 'process_cpu_seconds_total', 'nodejs_']) {
    expect(text).toContain(`\n${name}`)
  }
  expect(Number(/^process_cpu_seconds_total (\S+)$/m.exec(text)?.[1])).toBeGreaterThan(0.1)
})
