import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import { fastify } from 'fastify'
import { expect, onTestFinished, test } from 'vitest'
import { readConsoleFiles } from '../../../src/http/console/console-files.ts'
import { addConsoleRoutes } from '../../../src/http/console/console-routes.ts'
import type { HttpApp } from '../../../src/http/server/http-app.ts'
import { startGuarded } from '../guarded-server.ts'

/** The routes alone, with a console of two files. */
async function startConsole() {
  const folder = await mkdtemp(path.join(tmpdir(), 'sluice-console-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  await mkdir(path.join(folder, 'assets'))
  await writeFile(path.join(folder, 'index.html'), '<!doctype html><p>console</p>')
  await writeFile(path.join(folder, 'assets/index-1a2b.js'), 'console.log(1)')
  const app = fastify().withTypeProvider<TypeBoxTypeProvider>() as HttpApp
  addConsoleRoutes(app, () => readConsoleFiles(folder))
  onTestFinished(() => app.close())
  return (url: string, headers: Record<string, string> = {}) =>
    app.inject({ method: 'GET', url, headers })
}

test.each(['/', '/console'])('%s leads to the console', async (url) => {
  const get = await startConsole()
  const { statusCode, headers } = await get(url)
  expect([statusCode, headers.location]).toEqual([302, '/console/'])
})

test.each(['/console/', '/console/rules', '/console/rules/hot_devices?find=a'])(
  '%s is the page, with a strict policy and asked for again each time',
  async (url) => {
    const get = await startConsole()
    const { statusCode, headers, body } = await get(url)
    expect([statusCode, body]).toEqual([200, '<!doctype html><p>console</p>'])
    expect(headers).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
    })
    const policy = String(headers['content-security-policy'])
    expect(policy).toContain("default-src 'none'; script-src 'self'")
    expect(policy).not.toMatch(/script-src[^;]*unsafe|https?:/)
    const again = await get(url, { 'if-none-match': String(headers.etag) })
    expect([again.statusCode, again.body]).toEqual([304, ''])
  },
)

test('files with a hash in their name are kept for good, and are sent compressed', async () => {
  const get = await startConsole()
  const plain = await get('/console/assets/index-1a2b.js')
  expect(plain.headers['cache-control']).toBe('max-age=31536000, immutable')
  expect(plain.body).toBe('console.log(1)')
  const { headers } = await get('/console/assets/index-1a2b.js', { 'accept-encoding': 'br, gzip' })
  expect(headers).toMatchObject({ 'content-encoding': 'gzip', vary: 'accept-encoding' })
})

test.each(['/console/assets/absent.js', '/console/absent.svg'])('%s is not there', async (url) => {
  const get = await startConsole()
  expect((await get(url)).statusCode).toBe(404)
})

test('where requests are signed, the files are open and no data is', async () => {
  const { url } = await startGuarded()
  const console = await fetch(`${url}/console/`)
  // Built or not: it is no question of a key.
  expect([200, 404]).toContain(console.status)
  for (const target of ['/v1/outbox', '/v1/events', '/v1/metrics', '/rules']) {
    const answer = await fetch(url + target)
    expect([target, answer.status]).toEqual([target, 403])
  }
})
