import { EventEmitter, on } from 'node:events'

type Callback = (error: Error | null, message: { readonly data: Uint8Array }) => void

/** Whether a subject with NATS's wildcards matches one without. */
export function natsMatches(pattern: string, subject: string): boolean {
  const tokens = subject.split('.')
  const wanted = pattern.split('.')
  for (const [index, token] of wanted.entries()) {
    if (token === '>') return tokens.length > index
    if (tokens[index] === undefined || (token !== '*' && token !== tokens[index])) return false
  }
  return wanted.length === tokens.length
}

/** As much of NATS as messages between nodes need: a copy for each subscription, in order. */
export function createMemoryNats({ maxPayload = 1_000_000 } = {}) {
  const subscriptions = new Set<{ readonly subject: string; readonly callback: Callback }>()
  const link = new EventEmitter()
  let published = 0
  return {
    /** What the client of NATS tells of its connection. */
    tell: (type: 'disconnect' | 'reconnect') => void link.emit('status', type),
    get published() {
      return published
    },
    subjects: () => [...subscriptions].map(({ subject }) => subject),
    connection: {
      info: { max_payload: maxPayload } as never,
      publish(subject: string, data: Uint8Array) {
        published++
        const copy = Buffer.from(data)
        for (const subscription of subscriptions) {
          if (!natsMatches(subscription.subject, subject)) continue
          setImmediate(() => subscription.callback(null, { data: copy }))
        }
      },
      subscribe(subject: string, { callback }: { readonly callback: Callback }) {
        const subscription = { subject, callback }
        subscriptions.add(subscription)
        return {
          async drain() {
            subscriptions.delete(subscription)
          },
        }
      },
      flush: () => Promise.resolve(),
      async *status() {
        for await (const [type] of on(link, 'status')) yield { type: type as string }
      },
    } as never,
  }
}
