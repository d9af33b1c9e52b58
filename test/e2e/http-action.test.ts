import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'
import { buffer } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { createCertificateMaker } from '../../src/identity/certificates/certificate-maker.ts'
import type { KeyPairPem } from '../../src/identity/certificates/certificate-maker.ts'
import { startSluice, temporaryFolder } from '../helpers/sluice-process.ts'

/** An endpoint over TLS that keeps what it got. */
async function startEndpoint({ keyPem: key, certificatePem: cert }: KeyPairPem) {
  const requests: { readonly path: string; readonly body: string }[] = []
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    requests.push({ path: request.url ?? '', body: (await buffer(request)).toString() })
    response.end()
  }
  const server = createServer({ key, cert }, (request, response) => void answer(request, response))
  server.listen(0, 'localhost')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return { host: `localhost:${(server.address() as AddressInfo).port}`, requests }
}

const ruleOf = (host: string) => ({
  sql: "SELECT n FROM 'a'",
  actions: [{ http: { url: `https://${host}/hook` } }],
})

test('an endpoint gets records once it has confirmed, also after kill -9', async () => {
  const folder = await temporaryFolder()
  onTestFinished(() => folder.remove())
  const maker = await createCertificateMaker(Date.now())
  const authority = await maker.makeAuthority()
  const authorityFile = path.join(folder.path, 'ca.pem')
  await writeFile(authorityFile, authority.certificatePem)
  const endpoint = await startEndpoint(await maker.makeServer(authority, ['localhost']))
  const impostor = await startEndpoint(await maker.makeServer(authority, ['other.example']))

  const start = async () => {
    const sluice = startSluice(['start'], {
      SLUICE_DATA_DIR: path.join(folder.path, 'data'),
      SLUICE_RULES_DIR: path.join(folder.path, 'rules'),
      SLUICE_AUTH: 'off',
      SLUICE_ACCOUNT_ID: '123456789012',
      AWS_REGION: 'eu-west-1',
      SLUICE_HTTP_ACTION_HOSTS: `${endpoint.host},${impostor.host}`,
      NODE_EXTRA_CA_CERTS: authorityFile,
    })
    onTestFinished(async () => {
      sluice.kill('SIGKILL')
      await sluice.ended
    })
    const { http } = await sluice.ready()
    const url = `http://127.0.0.1:${http as number}`
    const post = async (to: string, body: unknown) => {
      const answered = await fetch(`${url}${to}`, { method: 'POST', body: JSON.stringify(body) })
      expect([answered.status, await answered.text()]).toMatchObject([200, expect.any(String)])
    }
    const statuses = async () => {
      const listed = (await (await fetch(`${url}/destinations`)).json()) as {
        readonly destinationSummaries: readonly { status: string; statusReason?: string }[]
      }
      return listed.destinationSummaries.map(
        ({ status, statusReason = '' }) => status + statusReason,
      )
    }
    return { sluice, url, post, statuses }
  }

  const first = await start()
  await first.post('/rules/r', ruleOf(endpoint.host))
  await first.post('/topics/a?qos=1', { n: 1 })
  await first.sluice.logged(({ code }) => code === 'DestinationNotEnabled')
  await expect.poll(() => endpoint.requests, { timeout: 20_000 }).toHaveLength(1)
  const [asked] = endpoint.requests
  const { confirmationToken: token } = JSON.parse(asked?.body ?? '') as {
    readonly confirmationToken: string
  }
  expect(asked?.path).toBe(`/hook/?confirmationToken=${token}`)
  await first.sluice.logged(({ msg }) => String(msg).startsWith('an endpoint was asked to confirm'))

  // The name in the certificate is that of another host.
  await first.post('/rules/impostor', ruleOf(impostor.host))
  await first.sluice.logged(({ problem }) => /altnames/.test(String(problem)))
  expect(impostor.requests).toEqual([])

  first.sluice.kill('SIGKILL')
  await first.sluice.ended
  const second = await start()
  expect((await fetch(`${second.url}/confirmdestination/${token}`)).status).toBe(200)
  await expect.poll(() => endpoint.requests.length, { timeout: 60_000 }).toBe(2)
  expect(endpoint.requests[1]).toEqual({ path: '/hook', body: '{"n":1}' })
  expect((await second.statuses()).toSorted()).toEqual([
    'ENABLED',
    expect.stringMatching(/^IN_PROGRESS.*altnames/),
  ])
})
