/** A small HTTP server in the place of AWS: answers as a test says, and keeps what it was asked. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { NodeHttpHandler } from '@smithy/node-http-handler'
import type { AwsAccess } from '../../src/aws/role-calls.ts'

export interface Asked {
  readonly method: string
  readonly url: string
  readonly target: string | undefined
  readonly range: string | undefined
  /** The access key of the signature. */
  readonly accessKey: string | undefined
  readonly body: string
}

export interface Answer {
  readonly status?: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
}

export interface StandIn {
  readonly access: AwsAccess
  readonly asked: readonly Asked[]
  /** The roles whose credentials were dropped. */
  readonly dropped: readonly string[]
  close(): Promise<void>
}

export async function startStandIn(
  answer: (asked: Asked) => Answer | Promise<Answer>,
): Promise<StandIn> {
  const asked: Asked[] = []
  const dropped: string[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { headers, method = '', url = '' } = request
      const one: Asked = {
        method,
        url,
        target: headers['x-amz-target']?.toString(),
        range: headers.range,
        accessKey: /Credential=([^/]+)/.exec(headers.authorization ?? '')?.[1],
        body: Buffer.concat(chunks).toString(),
      }
      asked.push(one)
      void Promise.resolve(answer(one)).then(
        ({ status = 200, headers: given = {}, body = '{}' }) => {
          response.writeHead(status, { 'content-type': 'application/json', ...given })
          return response.end(body)
        },
      )
    })
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const requestHandler = new NodeHttpHandler()
  return {
    asked,
    dropped,
    access: {
      region: 'us-east-1',
      requestHandler,
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      baseCredentials: { accessKeyId: 'PROCESS', secretAccessKey: 's' },
      credentialsOf: (_region, roleArn) => ({
        current: async () => ({
          accessKeyId: roleArn.replace(/.*\//, 'ROLE-'),
          secretAccessKey: 's',
          sessionToken: 't',
          expiresAtMs: Number.POSITIVE_INFINITY,
        }),
        drop: () => void dropped.push(roleArn),
      }),
    },
    async close() {
      requestHandler.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => {
        server.close(resolve)
      })
    },
  }
}
