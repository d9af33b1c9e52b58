import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import path from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createProgram } from '../../src/cli/program.ts'
import { createTestHost } from '../helpers/test-host.ts'
import { temporaryFolder } from '../identity/identity-fixtures.ts'
import { startLab } from '../lab/lab-fixtures.ts'

async function health(environment: Record<string, string>) {
  const host = createTestHost({ SLUICE_DATA_DIR: await temporaryFolder(), ...environment })
  await createProgram(host).parseAsync(['health'], { from: 'user' })
  return host.written.stdout
}

/** An HTTP API with one answer. */
async function apiWith(status: number, host = '127.0.0.1') {
  const asked: (string | undefined)[] = []
  const server = createServer((request, response) => {
    asked.push(request.url)
    response.writeHead(status).end('{"status":"told"}')
  }).listen(0, host)
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  return { asked, port: (server.address() as AddressInfo).port }
}

/** A port on which nothing listens. */
async function closedPort(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return String(port)
}

describe('the engine is asked', () => {
  test.each(['127.0.0.1', '127.0.0.2', '0.0.0.0', '::1'])('at %s, as set', async (host) => {
    const { port, asked } = await apiWith(200, host)
    const written = await health({ SLUICE_HTTP_HOST: host, SLUICE_HTTP_PORT: String(port) })
    expect(written).toMatch(/^http:\/\/.*: \{"status":"told"\}\n$/)
    expect(asked).toEqual(['/v1/health'])
  })

  test('where it says that it listens, whatever the environment says', async () => {
    const { port } = await apiWith(200)
    const folder = await temporaryFolder()
    const http = { host: '127.0.0.1', port, tls: false }
    const engine = { processId: process.pid, region: 'eu-west-1', http }
    await writeFile(path.join(folder, 'engine.json'), JSON.stringify(engine))
    const environment = { SLUICE_DATA_DIR: folder, SLUICE_HTTP_PORT: await closedPort() }
    expect(await health(environment)).toContain(`http://127.0.0.1:${port}: `)
  })

  test('and a refusal is told', async () => {
    const { port } = await apiWith(503)
    await expect(health({ SLUICE_HTTP_PORT: String(port) })).rejects.toThrow(
      `not healthy: http://127.0.0.1:${port} answers 503: {"status":"told"}`,
    )
  })
})

describe('where no engine answers', () => {
  test('the local Kinesis counts as healthy', async () => {
    const { port } = await startLab()
    const environment = { SLUICE_LAB_PORT: String(port), SLUICE_HTTP_PORT: await closedPort() }
    expect(await health(environment)).toBe(`http://127.0.0.1:${port}: the local Kinesis answers\n`)
  })

  test.each(['lab', 'engine'])('a %s that is still starting does not', async (owner) => {
    const { port } = await startLab()
    const folder = path.join(await temporaryFolder(), 'data')
    await mkdir(folder)
    await writeFile(path.join(folder, 'format.json'), JSON.stringify({ version: 2, owner }))
    const environment = {
      SLUICE_DATA_DIR: folder,
      SLUICE_LAB_PORT: String(port),
      SLUICE_HTTP_PORT: await closedPort(),
    }
    await expect(health(environment)).rejects.toThrow(/^not healthy: http:.*ECONNREFUSED/)
  })

  test('nor does nothing at all', async () => {
    const environment = {
      SLUICE_LAB_PORT: await closedPort(),
      SLUICE_HTTP_PORT: await closedPort(),
    }
    await expect(health(environment)).rejects.toThrow(
      /^not healthy: .*ECONNREFUSED.*; .*ECONNREFUSED/,
    )
  })
})
