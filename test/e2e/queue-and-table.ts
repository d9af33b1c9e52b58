import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'

/** An SQS and a DynamoDB that take everything and keep the numbers of each key. */
export interface QueueAndTable {
  readonly endpoint: string
  /** The numbers that came for a key, in the order of arrival. */
  readonly queued: (key: string) => readonly number[]
  readonly written: (key: string) => readonly number[]
  close(): void
}

interface Message {
  readonly key: string
  readonly n: number
}

interface Entry {
  readonly Id: string
  readonly MessageBody: string
}

interface Item {
  readonly id: { readonly S: string }
  readonly payload: { readonly M: { readonly n: { readonly N: string } } }
}

export async function startQueueAndTable(): Promise<QueueAndTable> {
  const queue = new Map<string, number[]>()
  const table = new Map<string, number[]>()

  function answer(operation: string, parameters: unknown): object {
    switch (operation) {
      case 'SendMessage': {
        const { MessageBody } = parameters as Entry
        return enqueue(MessageBody)
      }
      case 'SendMessageBatch': {
        const { Entries } = parameters as { readonly Entries: readonly Entry[] }
        const Successful = Entries.map(({ Id, MessageBody }) => ({ Id, ...enqueue(MessageBody) }))
        return { Successful }
      }
      case 'PutItem': {
        const { id, payload } = (parameters as { readonly Item: Item }).Item
        add(table, id.S, Number(payload.M.n.N))
        return {}
      }
      default:
        throw new Error(`${operation} is not for here`)
    }
  }

  function enqueue(body: string): object {
    const { key, n } = JSON.parse(body) as Message
    add(queue, key, n)
    return { MessageId: '1', MD5OfMessageBody: createHash('md5').update(body).digest('hex') }
  }

  const server = createServer((request, response) => {
    const operation = String(request.headers['x-amz-target']).split('.').at(-1) ?? ''
    json(request).then(
      (parameters) => response.end(JSON.stringify(answer(operation, parameters))),
      // The engine was killed while it sent.
      () => response.destroy(),
    )
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    queued: (key) => queue.get(key) ?? [],
    written: (key) => table.get(key) ?? [],
    close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

function add(to: Map<string, number[]>, key: string, n: number): void {
  const numbers = to.get(key) ?? []
  to.set(key, numbers)
  numbers.push(n)
}
